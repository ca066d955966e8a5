import uuid

from mizzen.proxy.io.request_ids import RequestIds


def test_ids_are_random_uuids() -> None:
    ids = RequestIds()
    made = [ids.next() for _ in range(1000)]
    assert len(set(made)) == 1000
    for text in made:
        assert uuid.UUID(text.decode()).version == 4
        assert str(uuid.UUID(text.decode())) == text.decode()

"""A client of Mixer for people: attributes as text, calls, and what they answered."""

"""CustomResourceDefinitions, made from the models: the API server checks what `mizzen validate` checks first."""

"""Items and ratings, and what is made of them before a model sees them."""

"""Light curves: the points of objects, from alerts and the histories in them."""

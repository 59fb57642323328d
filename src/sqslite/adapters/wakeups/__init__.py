"""How waiters learn that messages came."""

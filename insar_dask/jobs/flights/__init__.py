"""Jobs under way: on threads or on workers, tried again, blamed fairly, watched over."""

//! Bodies in and replies out, for what recorded requests do not show.

//! What a proxy answers by itself: built-in pages, `errorfile` contents, redirects.

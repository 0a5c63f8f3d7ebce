//! Lists in pages.

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// Most items to return, 1 to 500.
    pub limit: u32,
    /// Where the page before ended: its `next_cursor`.
    pub cursor: Option<String>,
}

/// One part of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Give this for the next part; `None` at the end.
    pub next_cursor: Option<String>,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { limit: 100, cursor: None }
    }
}

impl PageRequest {
    /// The first `limit` items.
    pub fn first(limit: u32) -> Self {
        Self { limit, cursor: None }
    }

    fn size(&self) -> usize {
        self.limit.clamp(1, 500) as usize
    }

    /// One more than wanted tells whether there is a next page.
    pub(crate) fn fetch(&self) -> i64 {
        i64::from(self.limit.clamp(1, 500)) + 1
    }
}

impl<T> Page<T> {
    pub(crate) fn cut(mut items: Vec<T>, request: &PageRequest, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > request.size();
        items.truncate(request.size());
        let next_cursor = if more { items.last().map(cursor) } else { None };
        Self { items, next_cursor }
    }
}

//! Reading ahead: what is certain to be asked for next is begun before it is asked for, a few at a time.

use std::collections::VecDeque;

use forge_core::{BoxStream, Error, ErrorKind, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio_util::task::AbortOnDropHandle;

/// So many requests of one list are under way at a time. Below the limit per host, so that a long list does not keep
/// everything else waiting.
pub const MOST_AHEAD: usize = 6;

/// Pages that are known by their numbers, begun before they are wanted.
///
/// Nothing is begun before the first [`Ahead::page`]; what was begun ends when this is dropped. The pages are fetched
/// by tasks of their own, so that a reader who takes its time holds up nobody else.
#[derive(Debug)]
pub struct Ahead<T> {
    begun: VecDeque<(u64, AbortOnDropHandle<Result<T>>)>,
}

impl<T: Send + 'static> Ahead<T> {
    /// Nothing begun.
    #[must_use]
    pub fn new() -> Self {
        Self { begun: VecDeque::new() }
    }

    /// The page with this number; the next ones up to `last` are under way when it comes, [`MOST_AHEAD`] in all. When
    /// the number is not the one that follows, what was begun is dropped.
    ///
    /// # Errors
    /// What `fetch` fails with.
    pub async fn page<F>(&mut self, number: u64, last: u64, fetch: impl Fn(u64) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        if self.begun.front().is_none_or(|(begun, _)| *begun != number) {
            self.begun.clear();
        }
        let mut next = self.begun.back().map_or(number, |(begun, _)| begun + 1);
        while self.begun.len() < MOST_AHEAD && next <= last {
            self.begun.push_back((next, AbortOnDropHandle::new(tokio::spawn(fetch(next)))));
            next += 1;
        }
        match self.begun.pop_front() {
            Some((_, page)) => ended(page).await,
            None => fetch(number).await,
        }
    }
}

impl<T: Send + 'static> Default for Ahead<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// The items of many lists, one list after the other. The first list is read alone; when it has ended, the next
/// [`MOST_AHEAD`] begin with their first pages.
pub fn side_by_side<T: Send + 'static>(
    mut lists: BoxStream<'static, Result<BoxStream<'static, Result<T>>>>,
) -> BoxStream<'static, Result<T>> {
    stream::once(async move {
        let first = lists.try_next().await?.unwrap_or_else(|| stream::empty().boxed());
        let rest = stream::once(async move {
            // All of them first: a stream that is left half read would keep its place at the host.
            let rest: Vec<_> = lists.try_collect().await?;
            let begun = stream::iter(rest).map(|list| AbortOnDropHandle::new(tokio::spawn(begin(list))));
            Ok::<_, Error>(begun.map(ended).buffered(MOST_AHEAD).try_flatten())
        });
        Ok::<_, Error>(first.chain(rest.try_flatten()))
    })
    .try_flatten()
    .boxed()
}

/// `list` with its first page read.
async fn begin<T: Send + 'static>(
    list: BoxStream<'static, Result<T>>,
) -> Result<BoxStream<'static, Result<T>>> {
    let mut list = list.peekable();
    std::pin::Pin::new(&mut list).peek().await;
    Ok(list.boxed())
}

async fn ended<T>(task: AbortOnDropHandle<Result<T>>) -> Result<T> {
    task.await.unwrap_or_else(|failure| {
        Err(Error::new(ErrorKind::Unreachable, "the request was broken off").with_source(failure))
    })
}

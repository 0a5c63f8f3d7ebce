//! Lists that come in numbered pages.

use forge_core::{BoxStream, Error, ErrorKind, ForgeKind, Result};
use forge_http::{Ahead, Response};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;

use crate::{
    client::{Call, GitFlicClient},
    wire::Fields,
};

/// 100 is the largest size that is known to work.
const SIZE: usize = 100;
/// The most pages that one list may have.
const MAX_PAGES: usize = 10_000;

/// Whether to ask for the next page, where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum More {
    /// Yes.
    Yes,
    /// Yes, to the end: pages that the list counts are fetched ahead.
    All,
    /// What comes is of no interest.
    No,
}

struct Pages<F> {
    client: GitFlicClient,
    path: String,
    operation: String,
    parse: F,
    /// The page to ask for; `None` at the end.
    index: Option<usize>,
    /// The number of the last page, where pages may be fetched ahead.
    last_index: Option<usize>,
    ahead: Ahead<Response>,
    /// The last page's items, by which a server is found out that does not count pages.
    last: Vec<Value>,
}

impl GitFlicClient {
    /// All items of a list, a page at a time as the stream is read. `parse` takes one item; `None` is an item that
    /// GitFlic does not send.
    pub(crate) fn list<T, F>(
        &self,
        path: Result<String>,
        operation: String,
        parse: F,
    ) -> BoxStream<'static, Result<T>>
    where
        T: Send + 'static,
        F: Fn(Fields<'_>) -> Option<T> + Send + Sync + 'static,
    {
        self.list_pages(path, operation, move |items| {
            let items: Option<Vec<T>> = items.iter().map(|item| parse(Fields::new(item))).collect();
            items.map(|items| (items, More::Yes))
        })
    }

    /// As [`GitFlicClient::list`], but `parse` takes a whole page and may end the list.
    pub(crate) fn list_pages<T, F>(
        &self,
        path: Result<String>,
        operation: String,
        parse: F,
    ) -> BoxStream<'static, Result<T>>
    where
        T: Send + 'static,
        F: Fn(&[Value]) -> Option<(Vec<T>, More)> + Send + Sync + 'static,
    {
        let path = match path {
            Ok(path) => path,
            Err(error) => return stream::once(async move { Err(error.with_operation(operation)) }).boxed(),
        };
        let client = self.clone();
        let pages = Pages {
            client,
            path,
            operation,
            parse,
            index: Some(0),
            last_index: None,
            ahead: Ahead::new(),
            last: Vec::new(),
        };
        stream::try_unfold(pages, |mut pages| async move {
            let Some(items) = pages.read().await? else { return Ok(None) };
            Ok::<_, Error>(Some((stream::iter(items.into_iter().map(Ok)), pages)))
        })
        .try_flatten()
        .boxed()
    }
}

impl<F> Pages<F> {
    async fn read<T>(&mut self) -> Result<Option<Vec<T>>>
    where
        F: Fn(&[Value]) -> Option<(Vec<T>, More)> + Send + Sync,
    {
        let Some(index) = self.index else { return Ok(None) };
        let response = self.fetch(index).await?;
        let body: Value = response.json()?;
        let items = items(&body).ok_or_else(|| response.unexpected("the answer is not a list"))?;
        let is_repeated = !items.is_empty() && index > 0 && *items == *self.last;
        if is_repeated {
            return self.end_repeated(&body, &response);
        }
        let parsed = (self.parse)(items);
        let (parsed, more) = parsed
            .ok_or_else(|| response.unexpected("an item of the list lacks fields that are documented"))?;
        let has_next = more != More::No && has_next(&body, index, items.len());
        self.last_index = total_pages(&body)
            .filter(|_| more == More::All)
            .map(|total| total.min(MAX_PAGES).saturating_sub(1));
        if has_next && index + 1 >= MAX_PAGES {
            return Err(response.unexpected(format!("the list has more than {MAX_PAGES} pages")));
        }
        self.index = has_next.then_some(index + 1);
        self.last = items.to_vec();
        Ok(Some(parsed))
    }

    async fn fetch(&mut self, index: usize) -> Result<Response> {
        let (client, path, operation) = (&self.client, &self.path, &self.operation);
        let fetch = |number: u64| {
            let path = format!("{path}?page={number}&size={SIZE}");
            let (client, call) = (client.clone(), Call::get(path, operation.clone()));
            async move { client.send(&call).await }
        };
        match self.last_index {
            Some(last) => self.ahead.page(index as u64, last as u64, fetch).await,
            None => fetch(index as u64).await,
        }
    }

    /// The same page came again. Where nothing said that there are more, the list is simply not paged.
    fn end_repeated<T>(&mut self, body: &Value, response: &Response) -> Result<Option<Vec<T>>> {
        self.index = None;
        if total_pages(body).is_some() {
            return Err(Error::new(
                ErrorKind::UnexpectedResponse,
                "the list gives the same page again and again",
            )
            .with_forge(ForgeKind::GITFLIC)
            .with_status(response.status().as_u16())
            .with_operation(self.operation.clone()));
        }
        Ok(None)
    }
}

/// The items: the one array under `_embedded`, whose name differs between resources and versions; `content`; or the
/// answer itself. An empty list has no `_embedded`.
pub(crate) fn items(body: &Value) -> Option<&[Value]> {
    match body {
        Value::Array(items) => Some(items),
        Value::Object(fields) => {
            if let Some(embedded) = fields.get("_embedded") {
                return embedded.as_object()?.values().find_map(Value::as_array).map(Vec::as_slice);
            }
            if let Some(content) = fields.get("content") {
                return content.as_array().map(Vec::as_slice);
            }
            let is_empty_list = fields.contains_key("page") || fields.keys().all(|key| key == "_links");
            is_empty_list.then_some(&[])
        }
        _ => None,
    }
}

pub(crate) fn total_pages(body: &Value) -> Option<usize> {
    let total = body.get("page").unwrap_or(body).get("totalPages")?.as_u64()?;
    usize::try_from(total).ok()
}

fn has_next(body: &Value, index: usize, length: usize) -> bool {
    match total_pages(body) {
        Some(total) => index + 1 < total,
        None => length >= SIZE,
    }
}

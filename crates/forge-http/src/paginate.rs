//! Lists that come in pages, read one page at a time as they are asked for.

use std::{
    collections::{HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use forge_core::{BoxStream, Error, ErrorKind, Result};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::header;
use url::Url;

use crate::{
    api::{ApiClient, Request},
    response::Response,
};

/// The most pages that one list may have.
const MAX_PAGES: usize = 10_000;

/// What the page says comes next.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once per page and moved at once; a box would only burden callers"
)]
pub enum Next {
    /// A `GET` of this address. It must be of the base URL's origin.
    Url(Url),
    /// This request.
    Request(Request),
}

/// The items of all pages, beginning with `first`. Lazy: a page is asked for when the items before it are taken.
///
/// `parse` turns a page into its items and what comes next. A next page that has been read before, or more than 10 000
/// pages, end the stream with [`ErrorKind::UnexpectedResponse`]; a next page at another origin with
/// [`ErrorKind::AddressRefused`].
pub fn pages<T, F>(first: Request, client: ApiClient, parse: F) -> BoxStream<'static, Result<T>>
where
    T: Send + 'static,
    F: Fn(&Response) -> Result<(Vec<T>, Option<Next>)> + Send + Sync + 'static,
{
    let state = Pages { client, parse: Arc::new(parse), next: Some(first), seen: HashSet::new() };
    stream::try_unfold(state, |mut pages| async move {
        let Some(items) = pages.read().await? else { return Ok(None) };
        Ok::<_, Error>(Some((stream::iter(VecDeque::from(items).into_iter().map(Ok)), pages)))
    })
    .try_flatten()
    .boxed()
}

struct Pages<F> {
    client: ApiClient,
    parse: Arc<F>,
    next: Option<Request>,
    seen: HashSet<u64>,
}

impl<F> Pages<F> {
    async fn read<T>(&mut self) -> Result<Option<Vec<T>>>
    where
        F: Fn(&Response) -> Result<(Vec<T>, Option<Next>)> + Send + Sync,
    {
        let Some(request) = self.next.take() else { return Ok(None) };
        if !self.seen.insert(fingerprint(&request)) {
            return Err(unexpected(&request, "the list leads back to a page that was read already"));
        }
        if self.seen.len() > MAX_PAGES {
            return Err(unexpected(&request, "the list has more than 10000 pages"));
        }
        let like = request.settings();
        let response = request.send().await?;
        let (items, next) = (self.parse)(&response)?;
        self.next = next.map(|next| match next {
            Next::Url(url) => self.client.get_url(url).with_settings(like),
            Next::Request(request) => request,
        });
        Ok(Some(items))
    }
}

/// What a request asks for. GraphQL pages differ in their body only.
fn fingerprint(request: &Request) -> u64 {
    let mut hasher = DefaultHasher::new();
    request.method.hash(&mut hasher);
    request.url.as_str().hash(&mut hasher);
    request.body.hash(&mut hasher);
    hasher.finish()
}

fn unexpected(request: &Request, message: &str) -> Error {
    request.name_error(Error::new(ErrorKind::UnexpectedResponse, message))
}

/// The `Link` header's `rel="next"` (RFC 8288), resolved against the page's address.
///
/// # Errors
/// [`ErrorKind::UnexpectedResponse`] when the header cannot be read.
pub fn next_link(response: &Response) -> Result<Option<Url>> {
    for value in response.headers().get_all(header::LINK) {
        let text = value.to_str().map_err(|_| response.unexpected("the Link header is not text"))?;
        let target =
            next_target(text).map_err(|()| response.unexpected("the Link header is not in RFC 8288 form"))?;
        if let Some(target) = target {
            return match response.url().join(target) {
                Ok(url) => Ok(Some(url)),
                Err(_) => Err(response.unexpected("the Link header's next address is not a URL")),
            };
        }
    }
    Ok(None)
}

/// The target of the first link whose relations include `next`. `Err` on what is not a link list.
fn next_target(text: &str) -> Result<Option<&str>, ()> {
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (target, after) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')).ok_or(())?;
        rest = after.trim_start();
        let mut relation = None;
        while let Some(parameter) = rest.strip_prefix(';') {
            let parameter = parameter.trim_start();
            let name_end = parameter.find(['=', ';', ',']).unwrap_or(parameter.len());
            let (name, after) = parameter.split_at(name_end);
            rest = after;
            let mut value = "";
            if let Some(after) = after.strip_prefix('=') {
                let after = after.trim_start();
                if let Some(quoted) = after.strip_prefix('"') {
                    // Relation types and URLs hold no escaped quotes; one in a title only ends it early.
                    (value, rest) = quoted.split_once('"').ok_or(())?;
                } else {
                    let end = after.find([';', ',']).unwrap_or(after.len());
                    (value, rest) = after.split_at(end);
                }
            }
            // Only the first `rel` counts (RFC 8288, section 3.3).
            if name.trim().eq_ignore_ascii_case("rel") && relation.is_none() {
                relation = Some(value.trim());
            }
            rest = rest.trim_start();
        }
        let is_next = relation
            .is_some_and(|value| value.split_whitespace().any(|kind| kind.eq_ignore_ascii_case("next")));
        if is_next {
            return Ok(Some(target.trim()));
        }
        rest = match rest.strip_prefix(',') {
            Some(after) => after.trim_start_matches([',', ' ', '\t']),
            None if rest.is_empty() => rest,
            None => return Err(()),
        };
    }
    Ok(None)
}

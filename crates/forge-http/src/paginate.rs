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
    ahead::Ahead,
    api::{ApiClient, Request, Settings},
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
    /// As [`Next::Url`], in a list whose addresses count their `page` parameter up to this number. Once the reader asks
    /// for this page, the ones behind it are fetched as well, [`crate::MOST_AHEAD`] at a time. Each page still decides
    /// what comes after it, so that a list that grows or shrinks is read as if its pages were asked for in turn.
    Counted(Url, u64),
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
    let state = Pages {
        client,
        parse: Arc::new(parse),
        next: Some(first),
        seen: HashSet::new(),
        count: None,
        ahead: Ahead::new(),
    };
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
    count: Option<Count>,
    ahead: Ahead<Response>,
}

/// How the addresses of the pages to come are counted.
struct Count {
    /// One of them with the number 0.
    address: Url,
    last: u64,
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
        let response = self.fetch(request, &like).await?;
        let (items, next) = (self.parse)(&response)?;
        self.next = next.map(|next| match next {
            Next::Url(url) => self.client.get_url(url).with_settings(like),
            Next::Counted(url, last) => {
                self.count_to(&url, last);
                self.client.get_url(url).with_settings(like)
            }
            Next::Request(request) => request,
        });
        Ok(Some(items))
    }

    /// Sends `request`, and with it those that will follow where they can be told.
    async fn fetch<T>(&mut self, request: Request, like: &Settings) -> Result<Response>
    where
        F: Fn(&Response) -> Result<(Vec<T>, Option<Next>)> + Send + Sync,
    {
        let number = page_number(&request.url);
        let (Some(count), Some(number)) = (&self.count, number) else { return request.send().await };
        if with_page_number(&request.url, 0) != count.address {
            return request.send().await;
        }
        let (client, address) = (&self.client, &count.address);
        let fetch =
            |number| client.get_url(with_page_number(address, number)).with_settings(like.clone()).send();
        self.ahead.page(number, count.last, fetch).await
    }

    /// An address of another form than the pages before ends the counting: guesses would be wasted on it.
    fn count_to(&mut self, url: &Url, last: u64) {
        let address = with_page_number(url, 0);
        match &mut self.count {
            Some(count) if count.address == address => count.last = last.min(MAX_PAGES as u64),
            Some(count) => {
                count.last = 0;
                self.ahead = Ahead::new();
            }
            None => self.count = Some(Count { address, last: last.min(MAX_PAGES as u64) }),
        }
    }
}

/// The `page` parameter, where there is exactly one and it is a number.
fn page_number(url: &Url) -> Option<u64> {
    let mut pages = url.query()?.split('&').filter_map(|pair| pair.strip_prefix("page="));
    let number = pages.next()?.parse().ok()?;
    pages.next().is_none().then_some(number)
}

/// `url` with another number in its `page` parameter. The rest stays as the forge has written it.
fn with_page_number(url: &Url, number: u64) -> Url {
    let pairs: Vec<String> = url
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| if pair.starts_with("page=") { format!("page={number}") } else { pair.to_owned() })
        .collect();
    let mut url = url.clone();
    url.set_query(Some(&pairs.join("&")));
    url
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
    link(response, "next")
}

/// As [`next_link`], but counted where the header names the last page and the two addresses differ in the number of the
/// `page` parameter alone.
///
/// # Errors
/// As [`next_link`].
pub fn numbered_link(response: &Response) -> Result<Option<Next>> {
    let Some(next) = link(response, "next")? else { return Ok(None) };
    let last = link(response, "last")?.filter(|last| with_page_number(last, 0) == with_page_number(&next, 0));
    Ok(Some(match (page_number(&next), last.as_ref().and_then(page_number)) {
        (Some(_), Some(last)) => Next::Counted(next, last),
        _ => Next::Url(next),
    }))
}

/// Leaves out items whose key was there before: pages that move while they are read show some items twice.
pub fn each_once<T: Send + 'static>(
    items: BoxStream<'static, Result<T>>,
    key: impl Fn(&T) -> String + Send + 'static,
) -> BoxStream<'static, Result<T>> {
    let mut seen = HashSet::new();
    items.try_filter(move |item| std::future::ready(seen.insert(key(item)))).boxed()
}

fn link(response: &Response, relation: &str) -> Result<Option<Url>> {
    for value in response.headers().get_all(header::LINK) {
        let text = value.to_str().map_err(|_| response.unexpected("the Link header is not text"))?;
        let target = target_of(text, relation)
            .map_err(|()| response.unexpected("the Link header is not in RFC 8288 form"))?;
        if let Some(target) = target {
            return match response.url().join(target) {
                Ok(url) => Ok(Some(url)),
                Err(_) => Err(response.unexpected("an address of the Link header is not a URL")),
            };
        }
    }
    Ok(None)
}

/// The target of the first link whose relations include `wanted`. `Err` on what is not a link list.
fn target_of<'a>(text: &'a str, wanted: &str) -> Result<Option<&'a str>, ()> {
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
        let is_wanted = relation
            .is_some_and(|value| value.split_whitespace().any(|kind| kind.eq_ignore_ascii_case(wanted)));
        if is_wanted {
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

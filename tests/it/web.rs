//! A browser without a screen: keeps cookies, follows nothing, sends forms with what our pages put into them.

use std::{collections::BTreeMap, sync::Mutex};

use reqwest::{RequestBuilder, Response, header::HeaderMap, redirect::Policy};

use crate::support::{OWNER, TestServer};

pub(crate) struct Web<'a> {
    server: &'a TestServer,
    http: reqwest::Client,
    cookies: Mutex<BTreeMap<String, String>>,
}

/// A page as it came.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) location: String,
    pub(crate) policy: String,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> String {
        assert_eq!(self.status, status, "{} {}", self.location, self.text);
        self.text
    }

    /// The address that it redirects to.
    #[track_caller]
    pub(crate) fn redirect(self) -> String {
        assert_eq!(self.status, 303, "{}", self.text);
        self.location
    }
}

impl<'a> Web<'a> {
    /// Nobody yet.
    pub(crate) fn stranger(server: &'a TestServer) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { server, http, cookies: Mutex::default() }
    }

    /// The owner of the tests.
    pub(crate) async fn owner(server: &'a TestServer) -> Self {
        Self::signed_in(server, OWNER).await
    }

    pub(crate) async fn signed_in(server: &'a TestServer, token: &str) -> Self {
        let web = Self::stranger(server);
        let request = web.http.post(format!("{}/sign-in", server.base)).form(&[("token", token)]);
        assert_eq!(web.send(request).await.redirect(), "/");
        web
    }

    pub(crate) async fn get(&self, address: &str) -> Page {
        self.send(self.http.get(self.absolute(address))).await
    }

    /// Sends a form of the page at `from`, with its hidden token.
    pub(crate) async fn post(&self, from: &str, address: &str, fields: &[(&str, &str)]) -> Page {
        let page = self.get(from).await.expect(200);
        let csrf = attribute(&page, "name=\"csrf\" value=\"");
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend_from_slice(fields);
        self.post_as_is(address, &all).await
    }

    pub(crate) async fn post_as_is(&self, address: &str, fields: &[(&str, &str)]) -> Page {
        self.send(self.http.post(self.absolute(address)).form(fields)).await
    }

    fn absolute(&self, address: &str) -> String {
        if address.starts_with('/') { format!("{}{address}", self.server.base) } else { address.to_owned() }
    }

    async fn send(&self, request: RequestBuilder) -> Page {
        let line = {
            let cookies = self.cookies.lock().unwrap();
            cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
        };
        let request = if line.is_empty() { request } else { request.header("cookie", line) };
        let response = request.header("accept", "text/html").send().await.unwrap();
        self.keep(&response);
        let header = |name: &str| {
            response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
        };
        Page {
            status: response.status().as_u16(),
            location: header("location"),
            policy: header("content-security-policy"),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        }
    }

    fn keep(&self, response: &Response) {
        let mut cookies = self.cookies.lock().unwrap();
        for line in response.headers().get_all("set-cookie") {
            let (pair, _) = line.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// What follows `before` up to the closing quote, as a browser reads it.
#[track_caller]
pub(crate) fn attribute(page: &str, before: &str) -> String {
    let begin = page.find(before).unwrap_or_else(|| panic!("{before} is in {page}")) + before.len();
    let value = page[begin..].split('"').next().unwrap();
    value
        .replace("&#38;", "&")
        .replace("&amp;", "&")
        .replace("&#34;", "\"")
        .replace("&quot;", "\"")
        .replace("&#60;", "<")
        .replace("&#62;", ">")
        .replace("&#39;", "'")
}

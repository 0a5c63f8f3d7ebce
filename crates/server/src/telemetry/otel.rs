//! Traces by OpenTelemetry: a span for each request and each task, sent to a collector as OTLP over HTTP (protobuf).
//!
//! A request goes on with the trace of its `traceparent`, and a task with that of the request or task that left it, so
//! that one trace leads from a delivery to the comment. Spans hold routes, kinds and ids; no names and no texts.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context as _;
use bytes::Bytes;
use forge_core::{Credential, Error, ErrorKind, ForgeKind, StaticCredential};
use forge_http::{Answer, ApiClient, Dialect, HttpClient, RateLimit};
use http::{HeaderMap, Request, Response};
use opentelemetry::{
    propagation::TextMapPropagator as _,
    trace::{TraceContextExt as _, TracerProvider as _},
};
use opentelemetry_http::HttpError;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use tokio::runtime::Handle;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use url::Url;

/// How long the collector may take for one batch, and how long the last one is waited for at the end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Ends in order: what was not sent yet is sent.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to send traces to the collector at `endpoint`, e.g. `http://127.0.0.1:4318`, by the runtime of `handle`.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn begin(endpoint: &Url, handle: Handle) -> anyhow::Result<(Self, SdkTracer)> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", endpoint.as_str().trim_end_matches('/')))
            .with_timeout(PATIENCE)
            .with_http_client(Collector::new(endpoint, handle)?)
            .build()
            .context("cannot send traces")?;
        let resource = Resource::builder_empty()
            .with_service_name("forge-rca")
            .with_attribute(opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            // Who calls does not decide what the operator sees.
            .with_sampler(Sampler::AlwaysOn)
            .with_resource(resource)
            .build();
        rca_store::set_trace_context(Box::new(W3c));
        let tracer = provider.tracer("forge-rca");
        Ok((Self(provider), tracer))
    }

    /// Sends what is left, and waits for it a little. Not to be called by the only thread of the runtime.
    pub fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(PATIENCE) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// W3C Trace Context.
struct W3c;

impl rca_store::TraceContext for W3c {
    fn current(&self) -> Option<String> {
        let context = Span::current().context();
        let span = context.span();
        let place = span.span_context();
        place.is_valid().then(|| {
            format!("00-{}-{}-{:02x}", place.trace_id(), place.span_id(), place.trace_flags().to_u8())
        })
    }

    fn follow(&self, span: &Span, parent: &str) {
        let carrier = HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
        let context = TraceContextPropagator::new().extract(&carrier);
        if let Err(error) = span.set_parent(context) {
            tracing::trace!(%error, "a span goes without its parent");
        }
    }
}

/// The operator's collector: on this machine or in this network, wherever the operator says.
#[derive(Debug)]
struct Collector {
    api: ApiClient,
    handle: Handle,
}

impl Collector {
    fn new(endpoint: &Url, handle: Handle) -> anyhow::Result<Self> {
        let everywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|network| network.parse().ok());
        let http = HttpClient::builder()
            .with_user_agent(concat!("forge-rca/", env!("CARGO_PKG_VERSION")))
            .with_allowed_networks(everywhere)
            .with_http_allowed(true)
            .with_total_timeout(PATIENCE)
            .build()?;
        http.check_url(endpoint)?;
        let nobody = Arc::new(StaticCredential::new(Credential::none()));
        Ok(Self { api: ApiClient::new(http, endpoint.clone(), nobody, Arc::new(Wire)), handle })
    }
}

#[async_trait::async_trait]
impl opentelemetry_http::HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let api = self.api.clone();
        // The exporter has a thread of its own, without the runtime that sockets need.
        let sent = self.handle.spawn(async move {
            let request = api.post("/v1/traces").bytes(request.into_body(), "application/x-protobuf").once();
            request.operation("send traces").send().await
        });
        let answer = sent.await??;
        Ok(Response::builder().status(answer.status()).body(answer.bytes().clone())?)
    }
}

#[derive(Debug)]
struct Wire;

impl Dialect for Wire {
    fn kind(&self) -> ForgeKind {
        ForgeKind::custom("collector")
    }

    fn headers(&self) -> HeaderMap {
        HeaderMap::new()
    }

    fn authorize(&self, _credential: &Credential, _headers: &mut HeaderMap) -> forge_core::Result<()> {
        Ok(())
    }

    fn classify(&self, answer: &Answer<'_>) -> Error {
        Error::new(ErrorKind::Forge, "the collector refused").with_status(answer.status.as_u16())
    }

    fn rate_limit(&self, _headers: &HeaderMap, _now: jiff::Timestamp) -> Option<RateLimit> {
        None
    }
}

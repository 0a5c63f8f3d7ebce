//! The description of the API, made from the routes themselves.

use utoipa::{
    OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};

#[derive(OpenApi)]
#[openapi(
    info(title = "Forge RCA", description = "Finds the root cause of failed CI jobs and says it where people look."),
    security(("token" = [])),
    components(schemas(crate::error::ErrorBody, rca_flow::types::words::ForgeWord)),
    modifiers(&Token)
)]
struct Described;

struct Token;

impl utoipa::Modify for Token {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Default::default);
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// The OpenAPI document.
#[must_use]
pub fn document() -> utoipa::openapi::OpenApi {
    let mut document = Described::openapi();
    document.merge(crate::routes::api().into_openapi());
    for (path, item) in &mut document.paths.paths {
        if is_open(path) {
            for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
                operation.security = Some(Vec::new());
            }
        }
    }
    document
}

/// What is for everybody: health, deliveries with their own proof, and the browser's way back with its state.
fn is_open(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz" | "/v1/instance" | "/webhook/gitflic")
        || path.ends_with("/callback")
        || path == "/v1/integrations/github/app/installed"
        || path.starts_with("/v1/webhooks/")
}

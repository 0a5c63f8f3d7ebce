//! Style, script and icon: in the binary, at addresses that change with their content.

use std::sync::LazyLock;

use axum::{
    Router,
    extract::Path,
    response::{IntoResponse, Response},
    routing::get,
};
use http::{StatusCode, header};
use sha2::{Digest as _, Sha256};

use crate::Dashboard;

struct Asset {
    stem: &'static str,
    extension: &'static str,
    media_type: &'static str,
    content: &'static str,
    /// `stem-<hash>.extension`.
    name: String,
}

impl Asset {
    fn new(
        stem: &'static str,
        extension: &'static str,
        media_type: &'static str,
        content: &'static str,
    ) -> Self {
        let hash = hex::encode(Sha256::digest(content.as_bytes()));
        let short = hash.get(..12).unwrap_or_default();
        Self { stem, extension, media_type, content, name: format!("{stem}-{short}.{extension}") }
    }
}

static ASSETS: LazyLock<[Asset; 4]> = LazyLock::new(|| {
    [
        Asset::new(
            "app",
            "css",
            "text/css; charset=utf-8",
            concat!(
                include_str!("../assets/base.css"),
                include_str!("../assets/report.css"),
                include_str!("../assets/connect.css"),
                include_str!("../assets/manage.css"),
            ),
        ),
        Asset::new(
            "app",
            "js",
            "text/javascript; charset=utf-8",
            concat!(
                include_str!("../assets/base.js"),
                include_str!("../assets/report.js"),
                include_str!("../assets/connect.js"),
                include_str!("../assets/drop.js"),
            ),
        ),
        Asset::new("htmx", "js", "text/javascript; charset=utf-8", include_str!("../assets/htmx.min.js")),
        Asset::new("icon", "svg", "image/svg+xml", include_str!("../assets/icon.svg")),
    ]
});

/// The address of `stem.extension`.
pub(crate) fn address(stem: &str, extension: &str) -> String {
    ASSETS
        .iter()
        .find(|asset| asset.stem == stem && asset.extension == extension)
        .map_or_else(String::new, |asset| format!("/assets/{}", asset.name))
}

pub(crate) fn router() -> Router<Dashboard> {
    Router::new().route("/assets/{name}", get(serve)).route("/favicon.ico", get(favicon))
}

async fn serve(Path(name): Path<String>) -> Response {
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => answer(asset),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn favicon() -> Response {
    match ASSETS.iter().find(|asset| asset.extension == "svg") {
        Some(asset) => answer(asset),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

fn answer(asset: &Asset) -> Response {
    let headers = [
        (header::CONTENT_TYPE, asset.media_type),
        // The name holds the hash, so what lies behind it never changes.
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    (headers, asset.content).into_response()
}

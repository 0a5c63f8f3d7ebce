//! The API as its own description tells it: what tests go through so that no new route is forgotten.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::TestServer;

/// A port that nobody listens on: what would be asked at a forge fails at once, and never leaves this machine.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:9";

/// The description, as the server gives it.
pub(crate) struct Described(Value);

/// One method of one path.
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// With the names of the ids in braces.
    pub(crate) path: String,
    value: Value,
}

impl Described {
    pub(crate) async fn of(server: &TestServer) -> Self {
        Self(server.send(server.request(Method::GET, "/v1/openapi.json")).await.expect(200))
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().unwrap().iter();
        let operations = paths.flat_map(|(path, methods)| {
            methods.as_object().unwrap().iter().map(|(method, value)| Operation {
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                value: value.clone(),
            })
        });
        operations.collect()
    }

    /// The schema of a JSON body: its properties, those of all its variants together, and a body that has no fault.
    pub(crate) fn body(&self, operation: &Operation) -> Option<(Vec<(String, Value)>, Value)> {
        if !operation.takes_json() {
            return None;
        }
        let schema = &operation.value["requestBody"]["content"]["application/json"]["schema"];
        let schema = self.resolved(schema);
        let one = schema["oneOf"].as_array().and_then(|variants| variants.first()).unwrap_or(schema);
        let one = self.resolved(one);
        let properties: Vec<(String, Value)> = one["properties"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, property)| (name.clone(), self.resolved(property).clone()))
            .collect();
        let required: Vec<&str> =
            one["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let valid = properties
            .iter()
            .filter(|(name, _)| required.contains(&name.as_str()) || name.ends_with("base_url"))
            .map(|(name, property)| (name.clone(), self.sample(name, property)))
            .collect();
        Some((properties, Value::Object(valid)))
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(place) => self.0.pointer(place.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    fn sample(&self, name: &str, schema: &Value) -> Value {
        match name {
            "base_url" | "api_base_url" | "oauth_base_url" => return NOWHERE.into(),
            "role" => return "viewer".into(),
            "email" => return "ann@example.com".into(),
            "scopes" => return json!(["read"]),
            _ => {}
        }
        if let Some(first) = schema["enum"].as_array().and_then(|words| words.first()) {
            return first.clone();
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
        match kind {
            Some("boolean") => true.into(),
            Some("integer") => 1.into(),
            Some("array") => json!([]),
            Some("object") => json!({}),
            _ => "x".into(),
        }
    }
}

impl Operation {
    /// The documented answer of an error.
    pub(crate) fn documents(&self, status: u16) -> bool {
        !self.value["responses"][status.to_string()].is_null()
    }

    /// The path with this in place of every id, and with what has to stand in its query.
    pub(crate) fn path_with(&self, id: &str) -> String {
        let forge = if self.path.ends_with("/webhook") { "bitbucket-dc" } else { "gitlab" };
        let mut path = self.path.replace("{forge}", forge).replace("{hook_id}", id).replace("{run_id}", "1");
        let parameters = self.value["parameters"].as_array().into_iter().flatten();
        for needed in parameters.filter(|it| it["in"] == "query" && it["required"] == true) {
            let mark = if path.contains('?') { '&' } else { '?' };
            path.push_str(&format!("{mark}{}=x", needed["name"].as_str().unwrap()));
        }
        // One place in a path has one name; here it is that of a forge.
        if self.is_at_forge() { path.replace("{id}", forge) } else { path.replace("{id}", id) }
    }

    pub(crate) fn is_at_forge(&self) -> bool {
        self.method == Method::POST && self.path == "/v1/integrations/{id}/token"
    }

    /// Whether the path holds an id of ours, of which foreign ones are not there. Who has to prove himself otherwise is
    /// not even told that.
    pub(crate) fn has_id(&self) -> bool {
        self.path.contains("{id}") && !self.is_at_forge() && !self.is_open()
    }

    /// Whether it is for everybody: health, deliveries, the browser's way back.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.path.as_str(), "/healthz" | "/readyz" | "/v1/instance" | "/webhook/gitflic")
            || self.path.ends_with("/callback")
            || self.path.ends_with("/app/installed")
            || self.path.starts_with("/v1/webhooks/")
            || self.path.ends_with("/telegram")
    }

    pub(crate) fn takes_json(&self) -> bool {
        let schema = &self.value["requestBody"]["content"]["application/json"]["schema"];
        schema.is_object() && schema["type"] != "array"
    }

    /// Names and types of what stands in the query.
    pub(crate) fn query(&self) -> Vec<(String, Value)> {
        let parameters = self.value["parameters"].as_array().into_iter().flatten();
        parameters
            .filter(|parameter| parameter["in"] == "query")
            .map(|parameter| (parameter["name"].as_str().unwrap().to_owned(), parameter["schema"].clone()))
            .collect()
    }
}

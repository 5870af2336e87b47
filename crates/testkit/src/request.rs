//! Requests in the making, for both versions of HTTP.

/// A request. Fields are sent as written, in the order they were added.
#[derive(Clone, Debug)]
pub struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) host: Option<String>,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
}

impl Request {
    /// A request for `target` of the host `api.test`.
    pub fn new(method: &str, target: impl Into<String>) -> Self {
        Self {
            method: method.to_owned(),
            target: target.into(),
            host: Some("api.test".to_owned()),
            fields: Vec::new(),
            body: None,
        }
    }

    /// `GET`.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// `POST` with a body.
    pub fn post(target: impl Into<String>, body: impl AsRef<[u8]>) -> Self {
        Self::new("POST", target).body(body)
    }

    /// For another host.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = Some(host.to_owned());
        self
    }

    /// Without a `Host` field.
    #[must_use]
    pub fn no_host(mut self) -> Self {
        self.host = None;
        self
    }

    /// With one more field.
    #[must_use]
    pub fn field(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.fields.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    /// With `Authorization: Bearer` and `token`.
    #[must_use]
    pub fn bearer(self, token: impl AsRef<str>) -> Self {
        let value = format!("Bearer {}", token.as_ref());
        self.field("authorization", value)
    }

    /// With an `Origin`.
    #[must_use]
    pub fn origin(self, origin: &str) -> Self {
        self.field("origin", origin)
    }

    /// With a body and its length.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = Some(body.as_ref().to_vec());
        self
    }

    /// With all names of fields in lower case, as HTTP/2 demands.
    #[must_use]
    pub fn lower_case_names(mut self) -> Self {
        for (name, _) in &mut self.fields {
            name.make_ascii_lowercase();
        }
        self
    }

    /// Whether the answer has no body whatever its fields say.
    pub(crate) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// The bytes of it in HTTP/1.1.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        if let Some(host) = &self.host {
            text.extend(["host: ", host, "\r\n"]);
        }
        for (name, value) in &self.fields {
            text.extend([name, ": ", value, "\r\n"]);
        }
        if let Some(body) = &self.body {
            text.extend(["content-length: ", &body.len().to_string(), "\r\n"]);
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        bytes.extend(self.body.iter().flatten());
        bytes
    }
}

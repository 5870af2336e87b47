//! `issuers[].introspection`.

use portcullis_authn::{AssertionKey, ClientAuthentication, IntrospectionSettings};
use portcullis_core::Secret;

use crate::at::At;
use crate::compile::Context;
use crate::compile::check::positive;
use crate::compile::issuers::fetchable;
use crate::problem::{Problem, Problems};
use crate::raw::introspection as raw;

/// Keys of an issuer that mean nothing where its server is asked.
const WITHOUT_EFFECT: [&str; 4] = ["algorithms", "keys", "keys_refresh", "token_types"];

impl raw::Introspection {
    /// `issuer` is where the issuer itself is.
    pub(super) fn compile(
        self,
        issuer: &At,
        trust_pem: Option<Vec<u8>>,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<IntrospectionSettings> {
        let at = issuer.key("introspection");
        let sound = is_alone(issuer, context, problems);
        let url = problems.required(&at, "url", self.url.clone());
        let url = url.and_then(|url| fetchable(&url, &at.key("url"), None, problems));
        let client_id = problems.required(&at, "client_id", self.client_id.clone());
        if client_id.as_ref().is_some_and(String::is_empty) {
            problems.push(Problem::new(at.key("client_id"), "the text is empty"));
            return None;
        }
        let timeout = positive(self.timeout, &at.key("timeout"), problems);
        let cache = self.cache.get();
        let authentication = self.authentication(&at, context, problems);
        let settings = IntrospectionSettings {
            url: url?,
            client_id: client_id?,
            authentication: authentication?,
            cache,
            timeout: timeout?,
            trust_pem,
        };
        sound.then_some(settings)
    }

    fn authentication(
        self,
        at: &At,
        context: &Context<'_>,
        problems: &mut Problems,
    ) -> Option<ClientAuthentication> {
        let Self { auth, client_secret, private_key, key_id, .. } = self;
        let signs = auth == raw::ClientAuth::PrivateKeyJwt;
        let (wanted, source, other, stray) = if signs {
            ("private_key", private_key, "client_secret", client_secret.is_some())
        } else {
            ("client_secret", client_secret, "private_key", private_key.is_some())
        };
        let mut sound = true;
        for (key, is_stray) in [(other, stray), ("key_id", !signs && key_id.is_some())] {
            if is_stray {
                let problem = Problem::new(at.key(key), "this has no effect with this `auth`");
                let help = "`private_key` and `key_id` go with `auth: private_key_jwt`, \
                            `client_secret` with the others";
                problems.push(problem.on_key().help(help));
                sound = false;
            }
        }
        let source = problems.required(at, wanted, source)?;
        let secret_at = at.key(wanted);
        let secret = source.read(&secret_at, context, problems);
        // Nobody is asked where files are not read.
        let secret = if context.reads_files() { secret? } else { Secret::new("") };
        let authentication = match auth {
            raw::ClientAuth::Basic => ClientAuthentication::Basic(secret),
            raw::ClientAuth::Post if secret.expose_str().is_none() => {
                problems.push(Problem::new(secret_at, "the secret is not UTF-8"));
                return None;
            }
            raw::ClientAuth::Post => ClientAuthentication::Post(secret),
            raw::ClientAuth::PrivateKeyJwt if !context.reads_files() => {
                ClientAuthentication::Post(secret)
            }
            raw::ClientAuth::PrivateKeyJwt => match AssertionKey::new(secret, key_id) {
                Ok(key) => ClientAuthentication::PrivateKeyJwt(key),
                Err(error) => {
                    problems.push(Problem::new(secret_at, error.to_string()));
                    return None;
                }
            },
        };
        sound.then_some(authentication)
    }
}

/// Whether nothing is said that only signed tokens have.
fn is_alone(issuer: &At, context: &Context<'_>, problems: &mut Problems) -> bool {
    let mut sound = true;
    for key in WITHOUT_EFFECT {
        let at = issuer.key(key);
        if context.says(&at) {
            let problem = Problem::new(at, "this has no effect: the tokens are introspected");
            problems.push(problem.on_key().help("take it out, or `introspection`"));
            sound = false;
        }
    }
    sound
}

//! The one account at a directory: made once, kept, and used by every replica.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{Account, AccountCredentials, ExternalAccountKey, Key, NewAccount};
use portcullis_core::{Clock, Secret, Timestamp};
use portcullis_state::{Durable, Kind};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use super::failure::Failure;
use super::http::AuthorityClient;
use super::lease::Lease;
use super::record::{read, write};
use super::settings::AcmeSettings;

/// How long a failure holds for all names: the account is not asked for once a name.
const FAILED: Duration = Duration::from_secs(10);

/// How long a session is used before the directory is read again.
const SESSION: Duration = Duration::from_hours(1);

/// For the lease under which an account is made; it is renewed as long as that takes.
const TERM: Duration = Duration::from_secs(10);

/// What is kept.
#[derive(Deserialize, Serialize)]
struct AccountRecord {
    credentials: AccountCredentials,
    contact: Vec<String>,
}

/// The account, opened when first needed.
pub(super) struct Accounts {
    durable: Arc<dyn Durable>,
    clock: Clock,
    holder: String,
    known: Mutex<Option<Known>>,
}

struct Known {
    settings: AcmeSettings,
    until: Timestamp,
    account: Result<Account, Failure>,
}

impl Accounts {
    pub(super) fn new(durable: Arc<dyn Durable>, clock: Clock, holder: String) -> Self {
        Self { durable, clock, holder, known: Mutex::new(None) }
    }

    /// The account at the directory of `settings`; made if there is none yet.
    pub(super) async fn open(&self, settings: &AcmeSettings) -> Result<Account, Failure> {
        let mut known = self.known.lock().await;
        let now = self.clock.now();
        if let Some(known) = &*known
            && known.settings == *settings
            && now < known.until
        {
            return known.account.clone();
        }
        let account = self.open_anew(settings).await;
        let keeps = match &account {
            Ok(_) => Some(SESSION),
            Err(failure) if failure.is_no_attempt() => None,
            Err(failure) => Some(failure.retry_after().unwrap_or(FAILED)),
        };
        *known = keeps.map(|keeps| Known {
            settings: settings.clone(),
            until: now.plus(keeps),
            account: account.clone(),
        });
        account
    }

    /// The authority knows the account no more: the next use makes one, of the same key where the
    /// authority takes that, as it would for an account that it still has (RFC 8555 §7.3.1).
    pub(super) async fn forget(&self, settings: &AcmeSettings) -> Result<(), Failure> {
        let mut known = self.known.lock().await;
        *known = None;
        if let Some(AccountRecord { credentials, .. }) = self.kept(settings).await? {
            let key = Secret::new(credentials.private_key().secret_pkcs8_der());
            self.durable.put_first(Kind::AcmeAccount, &key_of(settings), &key).await?;
            self.durable.remove(Kind::AcmeAccount, &settings.directory).await?;
        }
        Ok(())
    }

    async fn open_anew(&self, settings: &AcmeSettings) -> Result<Account, Failure> {
        if let Some(record) = self.kept(settings).await? {
            return self.use_kept(settings, record).await;
        }
        let name = format!("{}/{}", Kind::AcmeAccount, settings.directory);
        let lease = Lease::take(&self.durable, name, &self.holder, TERM).await?;
        let lease = lease.ok_or(Failure::Elsewhere)?;
        let account = match self.kept(settings).await? {
            Some(record) => self.use_kept(settings, record).await,
            None => self.make(settings).await,
        };
        lease.release().await;
        account
    }

    async fn kept(&self, settings: &AcmeSettings) -> Result<Option<AccountRecord>, Failure> {
        let kept = self.durable.get(Kind::AcmeAccount, &settings.directory).await?;
        let kept = kept.map(|kept| read(Kind::AcmeAccount, &settings.directory, &kept));
        Ok(kept.transpose()?)
    }

    fn client(&self, settings: &AcmeSettings) -> Result<Box<AuthorityClient>, Failure> {
        let trust = settings.trust_pem.as_deref();
        AuthorityClient::new(&settings.directory, trust, self.clock.clone()).map(Box::new)
    }

    async fn use_kept(
        &self,
        settings: &AcmeSettings,
        record: AccountRecord,
    ) -> Result<Account, Failure> {
        let AccountRecord { credentials, contact } = record;
        // It cannot be cloned, and is needed once more where the contact changed.
        let again = serde_json::to_value(&credentials);
        let builder = Account::builder_with_http(self.client(settings)?);
        let account = builder.from_credentials(credentials).await?;
        if contact == settings.contact {
            return Ok(account);
        }
        let contacts: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
        account.update_contacts(&contacts).await?;
        let again = again.and_then(serde_json::from_value);
        let credentials = again.map_err(|error| Failure::Library(error.to_string()))?;
        let record = AccountRecord { credentials, contact: settings.contact.clone() };
        let record = write(Kind::AcmeAccount, &settings.directory, &record)?;
        self.durable.put(Kind::AcmeAccount, &settings.directory, &record).await?;
        Ok(account)
    }

    /// Makes the account. Its key is kept before the authority hears of it, so that who is cut off
    /// in between finds the same account again.
    async fn make(&self, settings: &AcmeSettings) -> Result<Account, Failure> {
        let (account, credentials) = match &settings.external_account {
            Some(external) => {
                let bound =
                    ExternalAccountKey::new(external.key_id.clone(), external.hmac.expose());
                self.create(settings, Some(&bound)).await?
            }
            None => self.create_of_key(settings).await?,
        };
        let record = AccountRecord { credentials, contact: settings.contact.clone() };
        let record = write(Kind::AcmeAccount, &settings.directory, &record)?;
        let kept = self.durable.put_first(Kind::AcmeAccount, &settings.directory, &record).await?;
        tracing::info!(directory = settings.directory, account = account.id(), "account made");
        if kept == record {
            return Ok(account);
        }
        self.use_kept(settings, read(Kind::AcmeAccount, &settings.directory, &kept)?).await
    }

    /// With a key of the library's making: an account that is bound to another can be made of none
    /// else.
    async fn create(
        &self,
        settings: &AcmeSettings,
        bound: Option<&ExternalAccountKey>,
    ) -> Result<(Account, AccountCredentials), Failure> {
        let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
        let wanted = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let builder = Account::builder_with_http(self.client(settings)?);
        Ok(builder.create(&wanted, settings.directory.clone(), bound).await?)
    }

    async fn create_of_key(
        &self,
        settings: &AcmeSettings,
    ) -> Result<(Account, AccountCredentials), Failure> {
        let (_, drawn) = Key::generate_pkcs8()?;
        let drawn = Secret::new(drawn.secret_pkcs8_der());
        let key = self.durable.put_first(Kind::AcmeAccount, &key_of(settings), &drawn).await?;
        let der = PrivatePkcs8KeyDer::from(key.expose().to_vec());
        let key = (Key::from_pkcs8_der(der.clone_key())?, PrivateKeyDer::Pkcs8(der));
        let builder = Account::builder_with_http(self.client(settings)?);
        let made = builder.create_from_key(key, settings.directory.clone()).await?;
        if !settings.contact.is_empty() {
            let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
            made.0.update_contacts(&contact).await?;
        }
        Ok(made)
    }
}

/// Where the key of an account is kept, from before there is one. No URL has a blank in it.
fn key_of(settings: &AcmeSettings) -> String {
    format!("{} key", settings.directory)
}

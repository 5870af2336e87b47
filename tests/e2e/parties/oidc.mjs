// A certified OpenID provider as the issuer of an end-to-end test: client_credentials, access
// tokens as JWTs for one resource and opaque ones for another, introspection, revocation, DPoP and
// certificate-bound tokens, and POST /rotate for a new signing key while it serves.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID, webcrypto, X509Certificate } from 'node:crypto';

// Debian 12 has Node 18, which lacks two things that the provider takes for granted.
globalThis.crypto ??= webcrypto;
URL.parse ??= (text, base) => {
  try {
    return new URL(text, base);
  } catch {
    return null;
  }
};
const { Provider } = await import('oidc-provider');

// Tokens for it are JWTs; it is the one where a request names none.
const RESOURCE = 'urn:orders-api';
// Tokens for it are opaque.
const OPAQUE = 'urn:opaque-api';
const algorithms = ['RS256', 'ES256'];

function newKey(alg) {
  const pair =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...pair.privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: randomUUID() };
}

// A client of the client credentials grant.
function robot(client_id, more) {
  return {
    client_id,
    client_secret: `${client_id}-secret-${client_id}-secret-${client_id}-secret`,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    ...more,
  };
}

// The key set of a client that authenticates by private_key_jwt, where a test hands one over.
const gatewayKeys = process.env.GATEWAY_JWKS && JSON.parse(process.env.GATEWAY_JWKS);

const clients = [
  robot('robot'),
  robot('bound', { tls_client_certificate_bound_access_tokens: true }),
  // RFC 6749 §2.3.1: id and secret are form-encoded before they go into Basic.
  robot('gate way', { client_secret: 'p@ss:w%rd+& of-the-gateway-p@ss:w%rd', grant_types: [] }),
  robot('gateway-post', { token_endpoint_auth_method: 'client_secret_post', grant_types: [] }),
  ...(gatewayKeys
    ? [
        robot('gateway-jwt', {
          client_secret: undefined,
          token_endpoint_auth_method: 'private_key_jwt',
          token_endpoint_auth_signing_alg: 'ES256',
          grant_types: [],
          jwks: gatewayKeys,
        }),
      ]
    : []),
];

let keys = [newKey('RS256')];
let alg = 'RS256';
let handler;

function getResourceServerInfo(_context, resource) {
  const opaque = { accessTokenFormat: 'opaque' };
  return {
    scope: 'orders:read orders:write tools',
    audience: resource,
    accessTokenTTL: 300,
    ...(resource === OPAQUE ? opaque : { accessTokenFormat: 'jwt', jwt: { sign: { alg } } }),
  };
}

// The certificate of the connection, as a proxy that ends TLS would hand it on.
function getCertificate(context) {
  const pem = context.get('x-client-certificate');
  return pem ? new X509Certificate(decodeURIComponent(pem)) : undefined;
}

function rebuild(issuer) {
  const provider = new Provider(issuer, {
    clients,
    jwks: { keys },
    enabledJWA: { dPoPSigningAlgValues: ['ES256', 'EdDSA', 'RS256'] },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      introspection: { enabled: true },
      mTLS: { enabled: true, certificateBoundAccessTokens: true, getCertificate },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        getResourceServerInfo,
      },
      revocation: { enabled: true },
    },
  });
  handler = provider.callback();
}

const server = createServer((request, response) => {
  if (request.method === 'POST' && request.url === '/rotate') {
    alg = algorithms[(algorithms.indexOf(alg) + 1) % algorithms.length];
    const fresh = newKey(alg);
    keys = [fresh, ...keys].slice(0, 2);
    rebuild(issuer);
    response.end(fresh.kid);
    return;
  }
  handler(request, response);
});

let issuer;
server.listen(0, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  rebuild(issuer);
  console.log(`issuer ${issuer}`);
});

// A certified OpenID provider as the issuer of an end-to-end test: client_credentials, access
// tokens as JWTs for one resource, and POST /rotate for a new signing key while it serves.
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID, webcrypto } from 'node:crypto';

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

const RESOURCE = 'urn:orders-api';
const algorithms = ['RS256', 'ES256'];

function newKey(alg) {
  const pair =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2048 })
      : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...pair.privateKey.export({ format: 'jwk' }), use: 'sig', alg, kid: randomUUID() };
}

let keys = [newKey('RS256')];
let alg = 'RS256';
let handler;

function rebuild(issuer) {
  const provider = new Provider(issuer, {
    clients: [
      {
        client_id: 'robot',
        client_secret: 'robot-secret-robot-secret-robot-secret',
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
      },
    ],
    jwks: { keys },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => RESOURCE,
        getResourceServerInfo: () => ({
          scope: 'orders:read orders:write',
          audience: RESOURCE,
          accessTokenTTL: 300,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg } },
        }),
      },
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

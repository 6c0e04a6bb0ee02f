# Tokens and key sets of well-known identity providers, with headers and claims as their makers document them, and the
# `issuer` block that goes with each. Only hosts, names and times are a test's.
#
#   Keycloak   server administration guide; tokens as its realms issue them without further mappers
#   Auth0      docs: secure/tokens/access-tokens/access-token-profiles, json-web-tokens/create-custom-claims
#   Okta       developer.okta.com: reference/api/oidc, access tokens of a custom authorization server
#   Entra ID   learn.microsoft.com: identity-platform/access-token-claims-reference, id-token-claims-reference,
#              access-tokens (keys carry the issuer and no alg)
#   Cognito    developer guide: amazon-cognito-user-pools-using-the-access-token, -using-the-id-token
#   Google     developers.google.com: identity/openid-connect/openid-connect,
#              identity/gsi/web/guides/verify-google-id-token

TENANT = "aaaabbbb-0000-cccc-1111-dddd2222eeee"
USER = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"
CLIENT = "00001111-aaaa-2222-bbbb-3333cccc4444"
API = "11112222-bbbb-3333-cccc-4444dddd5555"
GOOGLE_CLIENT = "1234567890-abc123.apps.googleusercontent.com"
THUMBPRINT = "XRvko8P7A3UaWSnU7bM9nT0MjhA"


class Shape:
    """What a provider issues. `access` is let in; each of `others` is refused with its code."""

    def __init__(self, name, path, block, header, access, others, route, scope, told, jwk=None, description=None):
        self.name, self.path, self.block = name, path, block
        self.header, self.access, self.others = header, access, others
        # The demands of routes that the token meets, and what an upstream is told then.
        self.route, self.scope, self.told = route, scope, told
        self.jwk = {"use": "sig", "alg": "RS256"} if jwk is None else jwk
        self.description = description or {}


KEYCLOAK_COMMON = {
    "auth_time": 0, "jti": "onrtac:2cd5a2b7-8d1c-4b0e-a9c1-4f4f3d8b8a10", "sub": "36fa0f91-f94d-4a0c-afed-6b7d952e47da",
    "azp": "spa", "sid": "2a88c258-f73a-4103-b862-e1fbd8f4e04e", "acr": "1",
}
KEYCLOAK_PROFILE = {
    "email_verified": True, "name": "Alice Liddell", "preferred_username": "alice", "given_name": "Alice",
    "family_name": "Liddell", "email": "alice@example.com",
}
KEYCLOAK = Shape(
    "Keycloak", "/realms/shop",
    # An audience mapper puts the API's client there; the claim typ tells access tokens from ID tokens.
    "audience shop-api; require claim typ Bearer; scope_claim realm_access.roles; type JWT;",
    {"typ": "JWT"},
    KEYCLOAK_COMMON | KEYCLOAK_PROFILE | {
        "aud": ["shop-api", "account"], "typ": "Bearer", "allowed-origins": ["https://shop.example.com"],
        "realm_access": {"roles": ["default-roles-shop", "offline_access", "uma_authorization", "items:read"]},
        "resource_access": {
            "shop-api": {"roles": ["editor"]},
            "account": {"roles": ["manage-account", "manage-account-links", "view-profile"]},
        },
        "scope": "openid profile email",
    },
    [
        ("ID token", "token_claims", {}, KEYCLOAK_COMMON | KEYCLOAK_PROFILE | {
            "aud": "shop-api", "typ": "ID", "at_hash": "mG3iE5wDLX7Z393G1GEMrg"}),
        ("token for another client", "token_audience", {}, KEYCLOAK_COMMON | {"aud": "account", "typ": "Bearer"}),
        ("logout token", "token_type", {"typ": "logout+jwt"}, KEYCLOAK_COMMON | {"aud": "shop-api", "typ": "Logout"}),
    ],
    "require claim resource_access.shop-api.roles editor; identity_header X-User claim preferred_username;",
    "items:read",
    {"x-auth-subject": "36fa0f91-f94d-4a0c-afed-6b7d952e47da", "x-user": "alice",
     "x-auth-session": "2a88c258-f73a-4103-b862-e1fbd8f4e04e",
     "x-auth-scope": "default-roles-shop offline_access uma_authorization items:read"},
    # A realm publishes the length of its document mostly in lists of algorithms.
    description={
        f"{what}_{kind}_alg_values_supported": ["PS384", "RS384", "EdDSA", "ES384", "HS256", "HS512", "ES256", "RS256"]
        for what in ("id_token", "userinfo", "request_object", "authorization", "introspection_endpoint_auth",
                     "token_endpoint_auth", "revocation_endpoint_auth", "backchannel_authentication_request")
        for kind in ("signing", "encryption", "encryption_enc")
    } | {
        "claims_supported": ["aud", "sub", "iss", "auth_time", "name", "given_name", "family_name", "acr"],
        "mtls_endpoint_aliases": {"token_endpoint": "https://login.example.com/realms/shop/token"},
    },
)

AUTH0_COMMON = {"sub": "auth0|123456", "aud": ["https://example.com/health-api", "https://my-domain.auth0.com/userinfo"]}
AUTH0_ID = {
    "nickname": "alice", "name": "alice@example.com", "picture": "https://s.gravatar.com/avatar/0?s=480",
    "updated_at": "2026-11-21T10:00:00.000Z", "email": "alice@example.com", "email_verified": True,
    "sub": "auth0|123456", "aud": "my_client_id", "nonce": "8f0a", "sid": "k7Pz",
}
AUTH0_ROUTE = "require claim https://example.com/roles admin; identity_header X-Roles claim https://example.com/roles;"
AUTH0_TOLD = {"x-auth-subject": "auth0|123456", "x-roles": "admin,editor",
              "x-auth-scope": "openid profile read:patients read:admin"}
AUTH0 = Shape(
    "Auth0", "/", "audience https://example.com/health-api; type JWT; algorithms RS256;", {"typ": "JWT"},
    AUTH0_COMMON | {
        "azp": "my_client_id", "scope": "openid profile read:patients read:admin",
        "https://example.com/roles": ["admin", "editor"], "permissions": ["read:patients"]},
    [
        ("ID token", "token_audience", {}, AUTH0_ID),
        ("token for the profile alone", "token_audience", {}, {"sub": "auth0|123456", "azp": "my_client_id",
         "aud": "https://my-domain.auth0.com/userinfo", "scope": "openid profile"}),
    ],
    AUTH0_ROUTE, "read:patients", AUTH0_TOLD,
    jwk={"use": "sig", "alg": "RS256", "x5t": "NjVBRjY5MDlCMUIwNzU4RTA2QzZFMDQ4QzQ2MDAyQjVDNjk1RTM2Qg"},
)
AUTH0_RFC9068 = Shape(
    "Auth0, RFC 9068 profile", "/", "audience https://example.com/health-api; type at+jwt; algorithms RS256;",
    {"typ": "at+jwt"},
    AUTH0_COMMON | {
        "client_id": "my_client_id", "jti": "73WakrfVbNJBaAmhQtEeDv",
        "scope": "openid profile read:patients read:admin", "https://example.com/roles": ["admin", "editor"]},
    [
        ("ID token", "token_type", {"typ": "JWT"}, AUTH0_ID),
        ("ID token of a client that is named as the API", "token_type", {"typ": "JWT"},
         AUTH0_ID | {"aud": "https://example.com/health-api"}),
    ],
    AUTH0_ROUTE, "read:patients", AUTH0_TOLD,
)

OKTA = Shape(
    "Okta", "/oauth2/default", "audience api://default; type none; scope_claim scp;", {},
    {
        "ver": 1, "jti": "AT.MNAoEQ_jbKqoinrQo1D0XKjMX28U5d7ZszBceot7-Ts", "aud": "api://default",
        "cid": "0oa1b2c3d4E5f6G7h8i9", "uid": "00u1b2c3d4E5f6G7h8i9", "scp": ["openid", "profile", "items:read"],
        "auth_time": 1788146000, "sub": "alice@example.com", "groups": ["Everyone", "Admins"],
    },
    [
        ("ID token", "token_audience", {}, {
            "sub": "00u1b2c3d4E5f6G7h8i9", "name": "Alice Liddell", "ver": 1, "aud": "0oa1b2c3d4E5f6G7h8i9",
            "jti": "ID.radCQMOQUmyvcTBmmIL0J6BaS60apUEiC7-vI7pOmkw", "amr": ["pwd"], "idp": "00o1b2c3d4E5f6G7h8i9",
            "preferred_username": "alice@example.com", "auth_time": 1788146000, "at_hash": "fPlsvVszI29LU2UhDyJ9vg"}),
    ],
    "require claim groups Admins; identity_header X-Client claim cid;", "items:read",
    {"x-auth-subject": "alice@example.com", "x-client": "0oa1b2c3d4E5f6G7h8i9",
     "x-auth-scope": "openid profile items:read"},
)

ENTRA_COMMON = {"acr": "1", "aio": "AUQAu/8TAAAA", "amr": ["pwd", "mfa"], "oid": USER, "rh": "0.AAAA.", "tid": TENANT,
                "uti": "fqiBqXLPj0eQa82S-IYFAA", "sub": "AAAAAAAAAAAAAAAAAAAAAIkzqFVrSaSaFHy782bbtaQ"}
ENTRA_ROUTE = "require claim roles Task.Write; identity_header X-Client claim {client};"
# What the keys' document says of a key: who uses it, and no algorithm.
ENTRA_JWK = {"use": "sig", "x5t": THUMBPRINT, "x5c": ["MIIC/jCCAeagAwIBAgIJAKysonliFZLIMA0="],
             "issuer": "https://login.microsoftonline.com/{tenantid}/v2.0"}
ENTRA_V1 = Shape(
    "Entra ID v1.0", f"/{TENANT}/",
    f"audience api://{API}; type JWT; subject_claim oid; scope_claim scp; require claim tid {TENANT};"
    " require claim ver 1.0; lifetime_max 1d;",
    {"typ": "JWT", "x5t": THUMBPRINT},
    ENTRA_COMMON | {
        "aud": f"api://{API}", "appid": CLIENT, "appidacr": "0", "ipaddr": "192.0.2.10", "name": "Alice Liddell",
        "family_name": "Liddell", "given_name": "Alice", "scp": "user_impersonation Tasks.Read",
        "roles": ["Task.Write"], "unique_name": "alice@example.com", "upn": "alice@example.com", "ver": "1.0",
        "wids": ["b79fbf4d-3ef9-4689-8143-76b194e85509"]},
    [
        ("ID token", "token_audience", {}, ENTRA_COMMON | {
            "aud": CLIENT, "name": "Alice Liddell", "unique_name": "alice@example.com", "ver": "1.0"}),
        ("token for another API", "token_audience", {}, ENTRA_COMMON | {
            "aud": "https://graph.microsoft.com", "appid": CLIENT, "scp": "User.Read", "ver": "1.0"}),
        ("token of another tenant", "token_claims", {}, ENTRA_COMMON | {
            "aud": f"api://{API}", "appid": CLIENT, "tid": USER, "ver": "1.0"}),
    ],
    ENTRA_ROUTE.format(client="appid"), "Tasks.Read",
    {"x-auth-subject": USER, "x-client": CLIENT, "x-auth-scope": "user_impersonation Tasks.Read"},
    jwk=ENTRA_JWK,
)
ENTRA_V2 = Shape(
    "Entra ID v2.0", f"/{TENANT}/v2.0",
    # An application that is client and API at once has the same aud in both kinds of token; azp is in one.
    f"audience {API}; type JWT; subject_claim oid; scope_claim scp; require claim tid {TENANT};"
    f" require claim azp {CLIENT} {API};",
    {"typ": "JWT"},
    ENTRA_COMMON | {
        "aud": API, "azp": CLIENT, "azpacr": "0", "name": "Alice Liddell", "preferred_username": "alice@example.com",
        "roles": ["Task.Write"], "scp": "access_as_user Tasks.Read", "ver": "2.0"},
    [
        ("ID token of the same application", "token_claims", {}, ENTRA_COMMON | {
            "aud": API, "name": "Alice Liddell", "nonce": "678910", "preferred_username": "alice@example.com",
            "ver": "2.0"}),
        ("ID token of a client", "token_audience", {}, ENTRA_COMMON | {"aud": CLIENT, "ver": "2.0"}),
    ],
    ENTRA_ROUTE.format(client="azp"), "Tasks.Read",
    {"x-auth-subject": USER, "x-client": CLIENT, "x-auth-scope": "access_as_user Tasks.Read"},
    jwk=ENTRA_JWK,
)

COGNITO_COMMON = {
    "sub": USER, "cognito:groups": ["admins"], "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    "event_id": "64f513be-32db-42b0-b78e-b02127b4f463", "auth_time": 1788146000,
    "jti": "dddddddd-bbbb-cccc-dddd-eeeeeeeeeeee",
}
COGNITO = Shape(
    "Cognito", "/us-east-1_EXAMPLE",
    "audience_claim client_id; audience 1example23456789; require claim token_use access; type none;", {},
    COGNITO_COMMON | {
        "device_key": "us-east-1_11111111-2222-3333-4444-555555555555", "version": 2, "client_id": "1example23456789",
        "token_use": "access", "scope": "phone openid profile items/read aws.cognito.signin.user.admin",
        "username": "alice"},
    [
        ("ID token", "token_claims", {}, COGNITO_COMMON | {
            "aud": "1example23456789", "token_use": "id", "cognito:username": "alice", "email_verified": True,
            "cognito:preferred_role": "arn:aws:iam::111122223333:role/my-role", "email": "alice@example.com"}),
        ("token of another client", "token_audience", {}, COGNITO_COMMON | {
            "client_id": "2example23456789", "token_use": "access", "username": "alice"}),
        ("ID token that names the client twice", "token_claims", {}, COGNITO_COMMON | {
            "client_id": "1example23456789", "aud": "1example23456789", "token_use": "id"}),
    ],
    "require claim cognito:groups admins; identity_header X-User claim username;", "items/read",
    {"x-auth-subject": USER, "x-user": "alice",
     "x-auth-scope": "phone openid profile items/read aws.cognito.signin.user.admin"},
)

GOOGLE = Shape(
    "Google", "", f"audience {GOOGLE_CLIENT}; require claim hd example.com; require claim email_verified true;"
    " algorithms RS256; lifetime_max 1h;",
    {"typ": "JWT"},
    {
        "azp": GOOGLE_CLIENT, "aud": GOOGLE_CLIENT, "sub": "110169484474386276334", "hd": "example.com",
        "email": "alice@example.com", "email_verified": True, "at_hash": "HK6E_P6Dh8Y93mRNtsDB1Q", "nonce": "0394",
        "name": "Alice Liddell", "picture": "https://lh3.googleusercontent.com/a/photo", "given_name": "Alice",
        "family_name": "Liddell", "locale": "en"},
    [
        ("token of another application", "token_audience", {}, {
            "azp": "other", "aud": "other", "sub": "1", "hd": "example.com", "email_verified": True}),
        ("token of a private account", "token_claims", {}, {
            "azp": GOOGLE_CLIENT, "aud": GOOGLE_CLIENT, "sub": "1", "email_verified": True}),
        ("token of somebody whose address is not verified", "token_claims", {}, {
            "azp": GOOGLE_CLIENT, "aud": GOOGLE_CLIENT, "sub": "1", "hd": "example.com", "email_verified": False}),
    ],
    "require claim hd example.com; identity_header X-User claim email;", None,
    {"x-auth-subject": "110169484474386276334", "x-user": "alice@example.com", "x-auth-scope": None},
)

SHAPES = [KEYCLOAK, AUTH0, AUTH0_RFC9068, OKTA, ENTRA_V1, ENTRA_V2, COGNITO, GOOGLE]

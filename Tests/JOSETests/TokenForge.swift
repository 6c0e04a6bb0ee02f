// Makes tokens of any shape with a good or a bad signature, and asks a verifier for its verdict on them.

import Crypto
import JOSE
import Primitives

/// A forge for tokens of two issuers' keys: an ES256 key named `ec` and an HS256 secret named `mac`.
struct TokenForge {
    static let now = WallTime(seconds: 1_700_000_000)
    static let sid = "AAAAAAAAAAAAAAAAAAAAAA"

    let privateKey = PrivateKey.generate()
    let secret = RandomBytes.make(32)
    let keys: KeySet
    let verifier: TokenVerifier

    /// What the forge's verifier asks for, with some of it changed.
    static func policy(_ change: (inout ClaimsPolicy) -> Void = { _ in }) -> ClaimsPolicy {
        var policy = ClaimsPolicy(issuer: "https://issuer.test", audiences: ["api", "other"])
        change(&policy)
        return policy
    }

    init(policy: ClaimsPolicy = TokenForge.policy()) throws {
        let keys = [
            try JSONWebKey(privateKey.publicParameters, algorithm: .es256, kid: "ec"),
            try JSONWebKey(secret: secret, algorithm: .hs256, kid: "mac"),
        ]
        self.keys = try KeySet(keys: keys)
        verifier = try TokenVerifier(keys: self.keys, policy: policy)
    }

    static let header = #"{"alg":"ES256","typ":"at+jwt","kid":"ec"}"#

    /// Claims that are accepted, with some replaced, added, or (by nil) left out. Values are JSON.
    static func claims(_ changes: [String: String?] = [:]) -> String {
        var claims: [String: String?] = [
            "iss": #""https://issuer.test""#, "sub": #""alice""#, "aud": #""api""#,
            "exp": "\(now.seconds + 900)", "iat": "\(now.seconds)", "jti": #""t1""#, "sid": "\"\(sid)\"",
            "gen": "3",
        ]
        for (name, value) in changes { claims[name] = .some(value) }
        let members = claims.sorted { $0.key < $1.key }.compactMap { name, value in
            value.map { "\"\(name)\":\($0)" }
        }
        return "{" + members.joined(separator: ",") + "}"
    }

    /// A token with a good ES256 signature.
    func token(header: String = header, claims: String = claims()) -> [UInt8] {
        sign(head(header: header, claims: claims))
    }

    /// A token with a good HS256 tag of the secret.
    func taggedToken(header: String, claims: String = claims()) -> [UInt8] {
        let head = head(header: header, claims: claims)
        return join(head, HMACSHA256(key: secret.span).authenticate(head.span).bytes)
    }

    /// Header and payload, encoded.
    func head(header: String = header, claims: String = claims()) -> [UInt8] {
        Base64URL.encode(header.utf8.span) + [UInt8(ascii: ".")] + Base64URL.encode(claims.utf8.span)
    }

    /// Signs whatever stands before the second dot.
    func sign(_ head: [UInt8]) -> [UInt8] { join(head, privateKey.sign(head.span)) }

    /// Adds a signature as it is.
    func join(_ head: [UInt8], _ signature: [UInt8]) -> [UInt8] {
        head + [UInt8(ascii: ".")] + Base64URL.encode(signature.span)
    }

    /// Why the token is refused; nil when it is accepted.
    func refusal(_ token: [UInt8], now: WallTime = now) -> TokenRejection? {
        switch verifier.verify(token.span, now: now) {
        case .accepted: nil
        case .refused(let reason): reason
        case .undecided: .unknownKey
        }
    }

    /// Why a token with these claims is refused; nil when it is accepted.
    func refusal(claims changes: [String: String?], now: WallTime = now) -> TokenRejection? {
        refusal(token(claims: Self.claims(changes)), now: now)
    }

    /// What the verifier reads from an accepted token.
    func accepted(_ token: [UInt8], now: WallTime = now) -> VerifiedToken? {
        switch verifier.verify(token.span, now: now) {
        case .accepted(let token): token
        case .refused, .undecided: nil
        }
    }
}

/// The value of a JSON text.
func json(_ text: String) throws -> JSONValue { try JSONDocument(parsing: Array(text.utf8)).root }

extension PrivateKey {
    /// A fresh key for ES256.
    static func generate() -> PrivateKey { generate(.ellipticCurve(.p256)) }

    /// Its ES256 signature.
    func sign(_ message: Span<UInt8>) -> [UInt8] {
        guard let generation = try? SignatureGeneration(key: self, scheme: .ecdsa) else { return [] }
        return generation.sign(message)
    }
}

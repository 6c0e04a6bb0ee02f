// Other keys of our own on a running shard: what stays good, what does not, and at once; and the documents
// that tell others of them.

import Configuration
import JOSE
import Primitives
import Sessions
import Testing

@testable import Proxy

@Suite struct OwnKeyTests {
    private let now = WallTime(seconds: 1_700_000_000)
    private let sid = "AAAAAAAAAAAAAAAAAAAAAA"
    private let policy = SigningKeyPolicy(
        algorithm: .es256, keyLifetime: nil, tokenLifetime: 900_000, cookieLifetime: 86_400_000)
    private var ring: SigningKeyRing
    private let gatekeeper: Gatekeeper

    init() throws {
        ring = try SigningKeyRing(taking: nil, policy: policy, now: now)
        let own = TrustedIssuer(
            policy: ClaimsPolicy(issuer: "https://issuer.test", audiences: ["api"]), keys: try ring.keySet())
        gatekeeper = try Gatekeeper([own], sessionLifetimeSeconds: 86_400)
    }

    private func token(_ key: SigningKey) throws -> [UInt8] {
        let claims =
            #"{"iss":"https://issuer.test","aud":"api","sub":"alice","sid":"\#(sid)","#
            + #""iat":\#(now.seconds),"exp":\#(now.seconds + 900)}"#
        return try TokenSigner(key: key).sign(payload: Array(claims.utf8))
    }

    /// Why the token is refused, by a connection that has presented it before or has not.
    private func refusal(_ token: [UInt8], _ memo: inout TokenMemo) -> TokenRejection? {
        switch gatekeeper.check(token.span, memo: &memo, now: now) {
        case .accepted: nil
        case .refused(let refusal): refusal
        case .undecided: .unknownKey
        }
    }

    @Test("a token is good before a rotation and behind it, and the new key's tokens are good at once")
    mutating func rotation() throws {
        let before = try token(ring.signingKey)
        var memo = TokenMemo()
        #expect(refusal(before, &memo) == nil)
        try ring.rotate(.command, force: true, policy: policy, now: now)
        try gatekeeper.change(keys: ring.keySet(), ofIssuer: 0)
        let after = try token(ring.signingKey)
        var (fresh, other) = (TokenMemo(), TokenMemo())
        #expect(refusal(before, &memo) == nil && refusal(before, &fresh) == nil)
        #expect(refusal(after, &other) == nil)
        // The first sight of a token is one: it is still remembered.
        #expect(gatekeeper.takeSightings().count == 2)
    }

    @Test("what a withdrawn key has let in is refused at the next request, remembered or not")
    mutating func withdrawal() throws {
        let stolen = ring.signingKey
        let remembered = try token(stolen)
        var memo = TokenMemo()
        #expect(refusal(remembered, &memo) == nil)
        let verified = try #require(memo.token)
        try ring.rotate(.command, force: true, policy: policy, now: now)
        try gatekeeper.change(keys: ring.keySet(), ofIssuer: 0)
        #expect(refusal(remembered, &memo) == nil && !gatekeeper.isRevoked(verified))
        let kept = try token(ring.signingKey)
        var keptMemo = TokenMemo()
        #expect(refusal(kept, &keptMemo) == nil)
        try ring.withdraw(stolen.kid, policy: policy, now: now)
        try gatekeeper.change(keys: ring.keySet(), ofIssuer: 0)
        var fresh = TokenMemo()
        #expect(refusal(remembered, &memo) == .revoked && refusal(remembered, &fresh) == .revoked)
        // A stream that was opened with such a token ends too.
        #expect(gatekeeper.isRevoked(verified))
        #expect(refusal(kept, &keptMemo) == nil)
        // Nobody can have it identify a session either.
        #expect(gatekeeper.session(of: remembered.span, now: now) == nil)
        #expect(gatekeeper.session(of: kept.span, now: now)?.text == sid)
    }

    @Test("a key that has gone by itself ends no stream, and its tokens count as expired")
    mutating func natural() throws {
        let old = try token(ring.signingKey)
        var memo = TokenMemo()
        #expect(refusal(old, &memo) == nil)
        let verified = try #require(memo.token)
        try ring.rotate(.command, force: true, policy: policy, now: now)
        try ring.upkeep(policy, now: now.advanced(byMilliseconds: 1_000_000))
        try gatekeeper.change(keys: ring.keySet(), ofIssuer: 0)
        #expect(!gatekeeper.isRevoked(verified) && refusal(old, &memo) == .expired)
    }
}

@Suite struct PublicationTests {
    private func metadata(issuer: String) throws -> IssuerMetadata {
        var configuration = GatewayConfiguration()
        configuration.publicURL = PublicURL(scheme: .https, authority: "api.example.com")
        configuration.accessToken.issuer = issuer
        return IssuerMetadata(configuration, refreshPath: Array("/refresh".utf8))
    }

    private func paths(issuer: String) -> [String] {
        IssuerMetadata.paths(ofIssuer: issuer).map { String(decoding: $0, as: UTF8.self) }
    }

    @Test("the metadata say what is true (RFC 8414 §2), the issuer letter for letter")
    func members() throws {
        let body = try metadata(issuer: "https://id.example.com/").document.body
        let root = try JSONDocument(parsing: body).root
        #expect(root["issuer"]?.string == "https://id.example.com/")
        #expect(root["token_endpoint"]?.string == "https://api.example.com/refresh")
        #expect(root["revocation_endpoint"]?.string == "https://api.example.com/refresh/revoke")
        #expect(root["jwks_uri"]?.string == "https://api.example.com/.well-known/jwks.json")
        #expect(root["grant_types_supported"]?.elements.map(\.string) == ["refresh_token"])
        #expect(root["token_endpoint_auth_methods_supported"]?.elements.map(\.string) == ["none"])
        #expect(root["authorization_endpoint"] == nil)
    }

    @Test("they stand where an issuer with a path has them too (RFC 8414 §3.1)")
    func place() throws {
        let plain = "/.well-known/oauth-authorization-server"
        #expect(paths(issuer: "https://a.example") == [plain])
        #expect(paths(issuer: "https://a.example/") == [plain])
        #expect(paths(issuer: "https://a.example/t/1") == [plain, plain + "/t/1"])
        #expect(paths(issuer: "https://a.example/t/") == [plain, plain + "/t"])
    }

    @Test("an entity tag follows the body, and a list that has it is known (RFC 9110 §13.1.2)")
    func entityTags() {
        let document = PublishedDocument(Array("a".utf8), contentType: "", cacheControl: "")
        let other = PublishedDocument(Array("b".utf8), contentType: "", cacheControl: "")
        #expect(document.entityTag != other.entityTag && document.entityTag.hasPrefix("\""))
        let tag = document.entityTag
        for list in [tag, "W/\(tag)", "\"x\", \(tag)", "\"x\",W/\(tag)\t"] {
            #expect(Publication.matches(tag, in: list), "\(list)")
        }
        for list in ["", other.entityTag, String(tag.dropFirst()), "w/\(tag)", tag + "x"] {
            #expect(!Publication.matches(tag, in: list), "\(list)")
        }
    }
}

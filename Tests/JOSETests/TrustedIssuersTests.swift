// Several issuers side by side: each token is judged by its own issuer's keys and rules, and by nobody
// else's.

import Crypto
import JOSE
import Primitives
import Testing

@Suite struct TrustedIssuersTests {
    private let ours: TokenForge
    private let theirs: TokenForge

    private static let foreign = "https://login.test/"

    init() throws {
        ours = try TokenForge()
        theirs = try TokenForge()
    }

    private func trusted(
        _ change: (inout ClaimsPolicy) -> Void = { _ in }, isRemote: Bool = false
    ) throws -> TrustedIssuers {
        var policy = ClaimsPolicy(issuer: Self.foreign, audiences: ["api"])
        policy.types = ["", "jwt"]
        policy.hasSessionClaims = false
        change(&policy)
        return try TrustedIssuers([
            TrustedIssuer(policy: TokenForge.policy(), keys: ours.keys),
            TrustedIssuer(policy: policy, keys: theirs.keys, isRemote: isRemote),
        ])
    }

    private func foreignToken(
        _ changes: [String: String?] = [:], header: String = #"{"alg":"ES256","kid":"ec"}"#,
        by forge: TokenForge? = nil
    ) -> [UInt8] {
        let claims = TokenForge.claims(changes.merging(["iss": "\"\(Self.foreign)\""]) { mine, _ in mine })
        return (forge ?? theirs).token(header: header, claims: claims)
    }

    private func refusal(_ token: [UInt8], _ trusted: TrustedIssuers) -> TokenRejection? {
        switch trusted.verify(token.span, now: TokenForge.now) {
        case .accepted: nil
        case .refused(let rejection): rejection
        case .undecided: .unknownKey
        }
    }

    @Test("a token of each issuer is accepted, and known to be that issuer's")
    func both() throws {
        let trusted = try trusted()
        for (token, issuer) in [(ours.token(), 0), (foreignToken(), 1)] {
            guard case .accepted(let verified) = trusted.verify(token.span, now: TokenForge.now) else {
                Issue.record("issuer \(issuer)")
                continue
            }
            #expect(verified.issuer == issuer && verified.isOurs == (issuer == 0))
            #expect(verified.sessionID == nil || issuer == 0)
        }
    }

    @Test("a key signs for its own issuer only, also under the same name")
    func crossed() throws {
        let trusted = try trusted()
        #expect(refusal(foreignToken(by: ours), trusted) == .wrongSignature)
        #expect(refusal(theirs.token(), trusted) == .wrongSignature)
    }

    @Test("an issuer that is not known is refused, and one that is spelled another way")
    func stranger() throws {
        let trusted = try trusted()
        for name in ["https://login.test", "https://LOGIN.test/", "https://login.test/#", ""] {
            #expect(refusal(foreignToken(["iss": "\"\(name)\""]), trusted) == .wrongIssuer)
        }
        #expect(refusal(foreignToken(["iss": nil as String?]), trusted) == .unfitClaims)
    }

    @Test("the kinds of token that one issuer takes, another does not")
    func types() throws {
        let trusted = try trusted()
        #expect(refusal(foreignToken(header: #"{"alg":"ES256","typ":"JWT","kid":"ec"}"#), trusted) == nil)
        #expect(
            refusal(foreignToken(header: #"{"alg":"ES256","typ":"at+jwt","kid":"ec"}"#), trusted)
                == .wrongType)
        #expect(refusal(ours.token(header: #"{"alg":"ES256","kid":"ec"}"#), trusted) == .wrongType)
    }

    @Test("subject and scope are found where the issuer puts them")
    func paths() throws {
        let trusted = try trusted {
            $0.subjectPath = ["user", "name"]
            $0.scopePath = ["realm_access", "roles"]
        }
        let token = foreignToken([
            "user": #"{"name":"bob"}"#, "realm_access": #"{"roles":["admin","dev"]}"#, "scope": "7",
        ])
        guard case .accepted(let verified) = trusted.verify(token.span, now: TokenForge.now) else {
            Issue.record("paths")
            return
        }
        #expect(verified.subject == "bob" && verified.scopes == ["admin", "dev"])
        #expect(refusal(foreignToken(["user": #"{"name":7}"#]), trusted) == .unfitClaims)
        #expect(refusal(foreignToken(), trusted) == .unfitClaims)
    }

    @Test("another audience claim, a required claim, and a longest life")
    func demands() throws {
        let trusted = try trusted {
            $0.audienceClaim = "client_id"
            $0.requirements = [ClaimsPolicy.Requirement(path: ["token_use"], values: ["access"])]
            $0.lifetimeSecondsMax = 900
        }
        let good = ["client_id": #""api""#, "token_use": #""access""#, "aud": nil as String?]
        #expect(refusal(foreignToken(good), trusted) == nil)
        #expect(refusal(foreignToken(["token_use": #""access""#]), trusted) == .unfitClaims)
        #expect(refusal(foreignToken(good.merging(["token_use": #""id""#]) { $1 }), trusted) == .unfitClaims)
        let late = "\(TokenForge.now.seconds + 901)"
        #expect(refusal(foreignToken(good.merging(["exp": late]) { $1 }), trusted) == .livesTooLong)
    }

    @Test("any audience is taken only where the policy says so")
    func anyAudience() throws {
        let token = foreignToken(["aud": #""elsewhere""#])
        #expect(refusal(token, try trusted()) == .wrongAudience)
        let open = try trusted {
            $0.audiences = []
            $0.takesAnyAudience = true
        }
        #expect(refusal(token, open) == nil)
        #expect(throws: JOSEError.incompletePolicy) { try trusted { $0.audiences = [] } }
    }

    @Test("algorithms that the issuer is not said to use are refused")
    func algorithms() throws {
        let token = foreignToken()
        #expect(refusal(token, try trusted { $0.algorithms = [.es256] }) == nil)
        #expect(refusal(token, try trusted { $0.algorithms = [.rs256] }) == .wrongAlgorithm)
    }

    @Test("a key that is not known is undecided where keys are fetched, and unknown where they are not")
    func unknownKey() throws {
        let token = foreignToken(header: #"{"alg":"ES256","kid":"new"}"#)
        guard case .undecided(1) = try trusted(isRemote: true).verify(token.span, now: TokenForge.now) else {
            Issue.record("a remote issuer's key")
            return
        }
        guard case .refused(.unknownKey) = try trusted().verify(token.span, now: TokenForge.now) else {
            Issue.record("a fixed key")
            return
        }
    }

    @Test(
        "a bad signature is undecided where the token has not named the key, and its issuer may have another")
    func untriedKey() throws {
        let policy = ClaimsPolicy(issuer: Self.foreign, audiences: ["api"])
        let key = try JSONWebKey(PrivateKey.generate().publicParameters, algorithm: .es256, kid: nil)
        for (kid, keys, isRemote, isUndecided) in [
            (#","kid":"new""#, [key], true, true), ("", [key], true, true),
            (#","kid":"new""#, [key], false, false),
            (#","kid":"ec""#, try [named("ec"), key], true, false), ("", try [named("only")], true, true),
        ] {
            let trusted = try TrustedIssuers([
                TrustedIssuer(policy: TokenForge.policy(), keys: ours.keys),
                TrustedIssuer(policy: policy, keys: KeySet(keys: keys), isRemote: isRemote),
            ])
            let token = foreignToken(header: #"{"alg":"ES256","typ":"at+jwt"\#(kid)}"#)
            switch trusted.verify(token.span, now: TokenForge.now) {
            case .undecided(let issuer): #expect(isUndecided && issuer == 1)
            case .refused(let reason): #expect(!isUndecided && reason == .wrongSignature)
            case .accepted: Issue.record("a stranger's signature")
            }
        }
    }

    private func named(_ kid: String) throws -> JSONWebKey {
        try JSONWebKey(PrivateKey.generate().publicParameters, algorithm: .es256, kid: kid)
    }

    @Test("keys change for one issuer; what the withdrawn one signed is known by it")
    func change() throws {
        let trusted = try trusted()
        guard case .accepted(let old) = trusted.verify(foreignToken().span, now: TokenForge.now) else {
            Issue.record("before the change")
            return
        }
        let replaced = try TokenForge()
        #expect(trusted.hasKey(of: old))
        try trusted.change(keys: replaced.keys, ofIssuer: 1)
        #expect(!trusted.hasKey(of: old))
        #expect(refusal(foreignToken(), trusted) == .wrongSignature)
        #expect(refusal(foreignToken(by: replaced), trusted) == nil)
        #expect(refusal(ours.token(), trusted) == nil)
    }

    @Test("a token of ours is known as such whatever its key, and another issuer's is not")
    func claimsToBeOwn() throws {
        let trusted = try trusted()
        let forged = try TokenForge()
        func claims(_ token: [UInt8]) -> Bool { trusted.claimsToBeOwn(token.span) }
        #expect(claims(forged.token()) && claims(ours.token(header: #"{"alg":"ES256","kid":"gone"}"#)))
        #expect(!claims(foreignToken()) && !claims(Array("no token".utf8)))
    }

    @Test("two issuers of one name are refused")
    func twins() {
        #expect(throws: JOSEError.incompletePolicy) { try trusted { $0.issuer = "https://issuer.test" } }
    }

    @Test("a second expiry ends the use of a token before the first")
    func useExpiry() throws {
        let now = TokenForge.now.seconds
        let forge = try TokenForge(policy: TokenForge.policy { $0.useExpiryClaim = "useExp" })
        #expect(forge.refusal(claims: ["useExp": "\(now + 60)"], now: WallTime(seconds: now + 89)) == nil)
        #expect(
            forge.refusal(claims: ["useExp": "\(now + 60)"], now: WallTime(seconds: now + 90)) == .expired)
        #expect(
            forge.refusal(claims: ["useExp": "\(now + 9999)"], now: WallTime(seconds: now + 930)) == .expired)
        #expect(forge.refusal(claims: [:]) == .unfitClaims)
        #expect(forge.refusal(claims: ["useExp": #""soon""#]) == .unfitClaims)
    }
}

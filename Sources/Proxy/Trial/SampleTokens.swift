// Tokens for trials: signed by a key that is made for them and goes with them, so that described requests
// pass the very gate that others do, and nobody else's key is needed.

import Configuration
import JOSE
import Primitives

/// Makes the tokens of described requests.
struct SampleTokens {
    private let configuration: GatewayConfiguration
    private let signer: TokenSigner
    /// Everybody whose tokens are believed, each with the key of the samples in place of their own.
    let issuers: [TrustedIssuer]
    let tokenHeads: [[UInt8]]

    init(_ configuration: GatewayConfiguration) throws(JOSEError) {
        self.configuration = configuration
        let key = try SigningKey.generate(.es256)
        signer = try TokenSigner(key: key)
        tokenHeads = [TokenSigner.head(algorithm: .es256, kid: key.kid)]
        let keys = try KeySet(keys: [key.verificationKey])
        let foreign = configuration.issuers.map { issuer in
            var policy = ClaimsPolicy(issuer, tokenBytesMax: Self.tokenBytesMax)
            policy.types = ["at+jwt"]
            policy.algorithms = []
            return TrustedIssuer(policy: policy, keys: keys)
        }
        var own = ClaimsPolicy(ofOwnTokens: configuration)
        own.tokenBytesMax = Self.tokenBytesMax
        issuers = [TrustedIssuer(policy: own, keys: keys)] + foreign
    }

    /// A token over claims as they are.
    func token(claims: [UInt8]) -> [UInt8] { signer.sign(payload: claims) }

    /// The token of a description.
    func token(_ sample: SampleToken, now: WallTime) -> [UInt8] {
        var claims = ClaimsTree()
        let issuer = sample.issuer.flatMap { name in configuration.issuers.first { $0.issuer == name } }
        let lifetime = issuer?.lifetimeMaxMilliseconds.map { min($0 / 1000, Self.lifetimeSeconds) }
        let seconds = lifetime ?? Self.lifetimeSeconds
        let issuedAt = sample.isExpired ? now.seconds - Self.expiredSeconds - seconds : now.seconds
        claims.set(["iat"], .number(issuedAt))
        claims.set(["exp"], .number(issuedAt + seconds))
        if let issuer {
            claims.set(["iss"], .text(issuer.issuer))
            if let audience = issuer.audiences.first { claims.set([issuer.audienceClaim], .text(audience)) }
            for requirement in issuer.requirements {
                claims.set(requirement.claim.parts, .text(requirement.values[0]))
            }
        } else {
            claims.set(["iss"], .text(configuration.accessToken.issuer))
            claims.set(["aud"], .text(configuration.accessToken.audience))
            claims.set(["jti"], .text("sample"))
            claims.set(["sid"], .text(Self.sessionText))
        }
        if !sample.scopes.isEmpty {
            claims.set(
                issuer?.scopeClaim.parts ?? ["scope"], .text(sample.scopes.joined(separator: " ")))
        }
        for claim in sample.claims {
            let values = sample.claims.filter { $0.path == claim.path }.map(\.value)
            claims.set(claim.path.parts, values.count == 1 ? .text(values[0]) : .list(values))
        }
        claims.set(issuer?.subjectClaim.parts ?? ["sub"], .text(sample.subject))
        return signer.sign(payload: claims.json)
    }

    private static let tokenBytesMax = 64 * 1024
    private static let lifetimeSeconds: Int64 = 300
    /// Longer ago than any leeway.
    private static let expiredSeconds: Int64 = 3_600
    private static let sessionText = String(repeating: "A", count: 22)
}

/// Claims by the names that lead to them.
private struct ClaimsTree {
    enum Value {
        case text(String)
        case number(Int64)
        case list([String])
        case object([(name: String, value: Value)])
    }

    private var root: [(name: String, value: Value)] = []

    /// Gives a claim its value, in place of another.
    mutating func set(_ path: [String], _ value: Value) { root = Self.setting(path[...], value, in: root) }

    private static func setting(
        _ path: ArraySlice<String>, _ value: Value, in members: [(name: String, value: Value)]
    ) -> [(name: String, value: Value)] {
        guard let name = path.first else { return members }
        var members = members
        let index = members.firstIndex { $0.name.utf8.elementsEqual(name.utf8) }
        var new = value
        if path.count > 1 {
            var inner: [(name: String, value: Value)] = []
            if let index, case .object(let known) = members[index].value { inner = known }
            new = .object(setting(path.dropFirst(), value, in: inner))
        }
        if let index { members[index].value = new } else { members.append((name, new)) }
        return members
    }

    var json: [UInt8] {
        var writer = JSONWriter()
        Self.write(.object(root), nil, to: &writer)
        return writer.bytes
    }

    private static func write(_ value: Value, _ name: String?, to writer: inout JSONWriter) {
        switch value {
        case .text(let text): writer.string(name, text)
        case .number(let number): writer.number(name, number)
        case .list(let texts):
            writer.beginArray(name)
            for text in texts { writer.string(nil, text) }
            writer.endArray()
        case .object(let members):
            writer.beginObject(name)
            for member in members { write(member.value, member.name, to: &writer) }
            writer.endObject()
        }
    }
}

// The signature algorithms that exist here (RFC 7518 §3.1, RFC 8037 §3.1). The enum is closed and has no
// `none`: an unsecured token (RFC 7519 §6) cannot even be represented.

internal import Crypto

/// An algorithm of a JWS.
package enum SignatureAlgorithm: UInt8, CaseIterable, Sendable {
    case hs256, hs384, hs512
    case rs256, rs384, rs512
    case ps256, ps384, ps512
    case es256, es384, es512
    case edDSA

    /// The name as `alg` writes it; the names are case-sensitive (RFC 7515 §4.1.1).
    package var name: String {
        switch self {
        case .hs256: "HS256"
        case .hs384: "HS384"
        case .hs512: "HS512"
        case .rs256: "RS256"
        case .rs384: "RS384"
        case .rs512: "RS512"
        case .ps256: "PS256"
        case .ps384: "PS384"
        case .ps512: "PS512"
        case .es256: "ES256"
        case .es384: "ES384"
        case .es512: "ES512"
        case .edDSA: "EdDSA"
        }
    }

    /// The algorithm of that exact name.
    package init?(name: String) {
        let match = Self.allCases.first { $0.name.utf8.elementsEqual(name.utf8) }
        guard let match else { return nil }
        self = match
    }

    var hash: HashFunction {
        switch self {
        case .hs256, .rs256, .ps256, .es256: .sha256
        case .hs384, .rs384, .ps384, .es384: .sha384
        case .hs512, .rs512, .ps512, .es512, .edDSA: .sha512
        }
    }

    /// How a public key is used; nil for the HMACs, which have no public key.
    var scheme: SignatureScheme? {
        switch self {
        case .hs256, .hs384, .hs512: nil
        case .rs256, .rs384, .rs512: .rsaPKCS1(hash)
        case .ps256, .ps384, .ps512: .rsaPSS(hash)
        case .es256, .es384, .es512: .ecdsa
        case .edDSA: .ed25519
        }
    }

    /// Whether its keys are RSA keys: they do not say by themselves which of these algorithms they are for.
    var isRSA: Bool {
        switch self {
        case .rs256, .rs384, .rs512, .ps256, .ps384, .ps512: true
        default: false
        }
    }

    /// The one curve of an ECDSA algorithm (RFC 7518 §3.4).
    var curve: EllipticCurve? {
        switch self {
        case .es256: .p256
        case .es384: .p384
        case .es512: .p521
        default: nil
        }
    }
}

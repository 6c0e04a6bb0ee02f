// The words for what can be wrong with keys of our own, for who starts the gateway or gives it a command.
// Nothing of a key is in any of them.

import Configuration
import Crypto
import JOSE
import Sessions

extension SigningKeyPolicy {
    /// What a configuration says of signing keys.
    init(_ configuration: GatewayConfiguration) {
        let token = configuration.accessToken
        guard let algorithm = SignatureAlgorithm(name: token.algorithm) else {
            preconditionFailure("the configuration knows the algorithms that there are")
        }
        let idle = configuration.refreshToken.idleLifetimeMilliseconds
        // A refresh token that is a JWT is signed with the same keys.
        let isSigned = configuration.refreshToken.format == .jwt
        let lifetime = isSigned ? max(token.lifetimeMilliseconds, idle) : token.lifetimeMilliseconds
        self.init(
            algorithm: algorithm, keyLifetime: token.keyLifetimeMilliseconds,
            tokenLifetime: lifetime + token.leewayMilliseconds, cookieLifetime: idle)
    }
}

extension KeyRingRefusal {
    /// Why nothing changes.
    var sentence: String {
        switch self {
        case .nextTooYoung(let seconds):
            "the next key was made lately: other gateways and their clients may not know it yet; try again "
                + "in \(seconds) s, or see --help"
        case .unknownKey: "there is no such key; 'keys list' shows those there are"
        case .alreadyRetired:
            "this key signs nothing any more, and goes by itself when its tokens have expired; --now takes "
                + "it back at once"
        case .tooManyKeys: "too many keys are still good: wait until tokens have expired, or withdraw some"
        case .unfit: "a key could not be made"
        }
    }
}

extension RefreshKeyRefusal {
    /// Why nothing changes.
    var sentence: String {
        switch self {
        case .newestTooYoung(let seconds):
            "the newest refresh key was made lately; try again in \(seconds) s, or use --force"
        case .tooManyKeys: "too many refresh keys are still needed: wait until sessions have been refreshed"
        }
    }
}

extension JOSEError {
    /// What is wrong with the file of a signing key.
    func sentence(for algorithm: String) -> String {
        switch self {
        case .unfitKey(.encrypted): "the key asks for a passphrase, and nobody is there to give it"
        case .unfitKey(.weak): "the key is too short for \(algorithm)"
        case .unfitKey(.unreadable): "this is no private key in PEM"
        case .unfitKey(.unsupported), .algorithmMismatch, .unsupportedKey:
            "the key is of a kind that cannot sign \(algorithm)"
        case .unfitKey: "the key is broken"
        case .namelessSecret:
            "a key of \(algorithm) needs a name, since none may be derived from it: add kid=NAME"
        default: "this is no key for \(algorithm)"
        }
    }
}

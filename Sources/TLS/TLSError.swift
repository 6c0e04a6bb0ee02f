// What ends a TLS connection before its time, or keeps it from beginning: a closed set with a word for logs.
//
// OpenSSL's error queue belongs to the thread and outlives the call that failed. So it is emptied before each
// call and read right after one that fails; what is left in it would be blamed on the next connection.

internal import COpenSSL

/// Why a session has failed.
package enum TLSError: Error, Sendable, Equatable {
    /// The peer went without close_notify: what it sent last may be cut off (RFC 8446 §6.1).
    case truncated
    /// The peer has sent a fatal alert; its number (RFC 8446 §6).
    case alert(UInt8)
    /// The first bytes are no TLS at all: plain HTTP on a port for TLS, say.
    case notTLS
    /// No version, suite, signature or application protocol in common.
    case nothingInCommon(reason: Int32)
    /// The peer was to show a certificate and has none.
    case certificateMissing
    /// The peer's certificate does not hold; OpenSSL's number (`X509_V_ERR_…`).
    case certificateRefused(code: Int)
    /// The certificate's subject is too long or holds control bytes, so nobody can be told who it is.
    case subjectUnusable
    /// The peer has tried to renegotiate.
    case renegotiation
    /// More came before the end of the handshake than any handshake needs.
    case handshakeTooLarge
    /// Much has come that was no content: updates of keys, empty records.
    case flooded
    /// The peer makes us answer and does not take the answers.
    case outputTooLarge
    /// The peer has broken the protocol; OpenSSL's number of the reason.
    case violation(reason: Int32)
    /// OpenSSL has failed for a reason of its own.
    case library(code: UInt)

    /// The word for logs and metrics: one per kind.
    package var logWord: String {
        switch self {
        case .truncated: "tls_truncated"
        case .alert: "tls_alert"
        case .notTLS: "tls_not_tls"
        case .nothingInCommon: "tls_nothing_in_common"
        case .certificateMissing: "tls_certificate_missing"
        case .certificateRefused: "tls_certificate_refused"
        case .subjectUnusable: "tls_subject_unusable"
        case .renegotiation: "tls_renegotiation"
        case .handshakeTooLarge: "tls_handshake_too_large"
        case .flooded: "tls_flooded"
        case .outputTooLarge: "tls_output_too_large"
        case .violation: "tls_violation"
        case .library: "tls_library"
        }
    }

    /// Every word that there is.
    package static let logWords = [
        "tls_truncated", "tls_alert", "tls_not_tls", "tls_nothing_in_common", "tls_certificate_missing",
        "tls_certificate_refused", "tls_subject_unusable", "tls_renegotiation", "tls_handshake_too_large",
        "tls_flooded", "tls_output_too_large", "tls_violation", "tls_library",
    ]

    /// What has happened, for the log: never bytes of the peer, never a secret.
    package var reason: String {
        switch self {
        case .truncated: "the peer went without close_notify"
        case .alert(let number): "the peer sent the alert '\(Self.alertText(number))'"
        case .notTLS: "the peer does not speak TLS"
        case .nothingInCommon(let reason): "nothing in common: \(Self.text(ofReason: reason))"
        case .certificateMissing: "the peer has shown no certificate"
        case .certificateRefused(let code): "the peer's certificate: \(Self.verificationText(code))"
        case .subjectUnusable: "the subject of the peer's certificate cannot be written as one line"
        case .renegotiation: "the peer tried to renegotiate"
        case .handshakeTooLarge: "the handshake is larger than \(TLSLimits.handshakeBytesMax) bytes"
        case .flooded: "records without content"
        case .outputTooLarge: "the peer does not take its answers"
        case .violation(let reason): Self.text(ofReason: reason)
        case .library(let code): Self.text(ofCode: code)
        }
    }

    /// The failure that OpenSSL has just reported. Empties the queue.
    static func drain() -> TLSError {
        let code = ERR_get_error()
        ERR_clear_error()
        if code == 0 || gateway_error_is_tls(code) == 0 { return .library(code: UInt(code)) }
        let reason = gateway_error_reason(code)
        // OpenSSL counts alerts that it has received from 1000.
        if reason >= SSL_AD_REASON_OFFSET, reason < SSL_AD_REASON_OFFSET + 256 {
            return .alert(UInt8(reason - SSL_AD_REASON_OFFSET))
        }
        switch reason {
        case SSL_R_UNEXPECTED_EOF_WHILE_READING: return .truncated
        case SSL_R_HTTP_REQUEST, SSL_R_HTTPS_PROXY_REQUEST, SSL_R_WRONG_VERSION_NUMBER: return .notTLS
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE: return .certificateMissing
        case SSL_R_UNSUPPORTED_PROTOCOL, SSL_R_NO_SHARED_CIPHER, SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
            SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, SSL_R_NO_SUITABLE_KEY_SHARE,
            SSL_R_NO_APPLICATION_PROTOCOL, SSL_R_NO_PROTOCOLS_AVAILABLE, SSL_R_WRONG_SIGNATURE_TYPE,
            SSL_R_NO_SUITABLE_GROUPS:
            return .nothingInCommon(reason: reason)
        case SSL_R_EXCESSIVE_MESSAGE_SIZE: return .handshakeTooLarge
        default: return .violation(reason: reason)
        }
    }

    /// OpenSSL's words for a verification result.
    static func verificationText(_ code: Int) -> String {
        unsafe String(cString: X509_verify_cert_error_string(code))
    }

    private static func text(ofReason reason: Int32) -> String {
        text(ofCode: UInt(ERR_LIB_SSL) << 23 | UInt(UInt32(bitPattern: reason)))
    }

    private static func text(ofCode code: UInt) -> String {
        guard code != 0, let text = unsafe ERR_reason_error_string(code) else { return "no reason given" }
        return unsafe String(cString: text)
    }

    private static func alertText(_ number: UInt8) -> String {
        unsafe String(cString: SSL_alert_desc_string_long(Int32(number)))
    }
}

/// How much of anything one connection may have.
package enum TLSLimits {
    /// Ciphertext read before the handshake is done: a hello, and a chain longer than any that is in use.
    package static let handshakeBytesMax = 128 << 10
    /// The certificates of a peer (OpenSSL's own default is 100 kB).
    static let certificateBytesMax = 64 << 10
    /// Ciphertext that waits for the socket.
    package static let outputBytesMax = 256 << 10
    /// Early data that a client sends on the word of an earlier server of our name: RFC 8446 §4.2.10 has a
    /// server that takes none skip it, "up to the configured max_early_data_size".
    static let earlyBytesMax: UInt32 = 16384
    /// The content of a record (RFC 8446 §5.1).
    package static let recordBytesMax = 16384
    /// Content that is encrypted before what it has become is sent.
    package static let batchBytesMax = 4 * recordBytesMax
    /// Full reads of the socket that bring no content, one after the other: what it holds then are thousands
    /// of key updates or empty records.
    package static let fruitlessReadsMax = 4
    /// From a peer's certificate to its trust anchor.
    static let chainDepthMax = 8
    /// The subject of a peer's certificate as text.
    static let subjectBytesMax = 1024
}

/// OpenSSL cannot do what every build of it can: nothing safe can follow.
func crash(_ operation: StaticString) -> Never {
    let code = ERR_get_error()
    preconditionFailure("OpenSSL failed at \(operation): \(TLSError.library(code: UInt(code)).reason)")
}

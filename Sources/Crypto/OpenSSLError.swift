// What OpenSSL says went wrong. Its error queue belongs to the thread and outlives the call that failed, so
// whoever sees a failure drains it at once: a stale entry would be blamed on the next TLS call of the thread.
//
// Never part of an answer to a client: reasons are for the log of a start-up or a key file.

internal import COpenSSL

/// A failed OpenSSL call, with the oldest reason of the thread's error queue.
package struct OpenSSLError: Error, Sendable, Equatable {
    /// What was being done.
    package let operation: String
    /// OpenSSL's packed code; 0 when it gave none.
    package let code: UInt
    /// OpenSSL's words for the code.
    package let reason: String

    /// Takes the reason of a failure that has just happened, and empties the queue.
    package static func drain(_ operation: StaticString) -> OpenSSLError {
        let code = ERR_get_error()
        ERR_clear_error()
        var reason = "no reason given"
        if code != 0, let text = unsafe ERR_reason_error_string(code) {
            reason = unsafe String(cString: text)
        }
        return OpenSSLError(operation: operation.description, code: UInt(code), reason: reason)
    }

    /// Empties the thread's queue where a failure is an expected outcome, such as a signature that does not
    /// verify.
    static func forget() {
        ERR_clear_error()
    }

    /// Ends the process where OpenSSL cannot do what every build of it can: nothing safe can follow.
    static func crash(_ operation: StaticString) -> Never {
        let error = drain(operation)
        preconditionFailure("OpenSSL failed at \(error.operation): \(error.reason)")
    }
}

/// What key material can be refused for.
package enum KeyError: Error, Sendable, Equatable {
    /// A coordinate, modulus or key has a length that its kind cannot have.
    case wrongLength
    /// The numbers are no key of their kind: a point off the curve, an even exponent.
    case invalid
    /// Too short to be trusted (RFC 7518 §3.2, §3.3).
    case weak
    /// A key of a kind that is not used here.
    case unsupported
    /// The PEM text asks for a passphrase.
    case encrypted
    /// OpenSSL could not read the PEM text.
    case unreadable(OpenSSLError)
}

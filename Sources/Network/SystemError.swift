// A system call that failed: which one, and why.

import Glibc

/// The error of a system call.
package struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The positive errno value.
    package let code: Int32
    /// The call that failed, as its manual page names it.
    package let call: String

    package init(code: Int32, call: String) {
        self.code = code
        self.call = call
    }

    /// The reason in words: `Address already in use`.
    package var reason: String { Syscalls.describe(code) }

    package var description: String { "\(call): \(reason)" }

    /// Out of descriptors or memory: waiting may help, giving up would not.
    package var isExhaustion: Bool { [EMFILE, ENFILE, ENOBUFS, ENOMEM].contains(code) }
}

extension SystemError {
    /// There is no such file.
    package var isNotFound: Bool { code == ENOENT }
    /// This user may not.
    package var isDenied: Bool { code == EACCES }
    /// Nobody listens there.
    package var isRefusal: Bool { code == ECONNREFUSED }
}

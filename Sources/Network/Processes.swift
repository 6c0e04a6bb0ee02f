// Other programs that this process starts.

import Glibc

/// Starting programs, and learning of their end.
package enum Processes {
    /// Starts a program with the environment of this process.
    ///
    /// - Parameter arguments: the first is its path, or its name in PATH.
    /// - Returns: the number of the process.
    package static func start(_ arguments: [String]) throws(SystemError) -> Int32 {
        try Syscalls.start(arguments)
    }

    /// Ends a process at once.
    ///
    /// - Returns: whether this process may do so.
    package static func kill(_ process: Int32) -> Bool { Glibc.kill(process, SIGKILL) == 0 }

    /// One that was started here and has ended since, with its status as wait(2) tells it; nil when there is
    /// none.
    package static func ended() -> (process: Int32, status: Int32)? { Syscalls.endedProcess() }

    /// How a process has ended, in words: wait(2) has the exit code in the second byte, and a signal in the
    /// first.
    package static func way(ofStatus status: Int32) -> String {
        let signal = status & 0x7F
        return signal == 0 ? "with exit code \(status >> 8 & 0xFF)" : "by signal \(signal)"
    }
}

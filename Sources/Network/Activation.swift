// Sockets that systemd has opened for the process before it began (sd_listen_fds(3)): they stay open over a
// restart, and connections wait in them meanwhile.

import Glibc

/// What the process was started with.
package enum Activation {
    /// The listening sockets that have been passed to this process; none where it was started otherwise. To
    /// be called once: they belong to the caller.
    package static func takeListeners() throws(SystemError) -> [Listener] {
        guard let process = Syscalls.environment("LISTEN_PID"), Int32(process) == getpid(),
            let text = Syscalls.environment("LISTEN_FDS"), let count = Int32(text),
            (1...descriptorsMax).contains(count)
        else { return [] }
        var listeners: [Listener] = []
        for number in firstDescriptor..<firstDescriptor + count where Syscalls.listens(number) {
            listeners.append(try Listener(adopting: FileDescriptor(number), isLent: true))
        }
        return listeners
    }

    /// SD_LISTEN_FDS_START.
    private static let firstDescriptor: Int32 = 3
    private static let descriptorsMax: Int32 = 1024
}

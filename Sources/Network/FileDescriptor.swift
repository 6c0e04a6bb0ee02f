// An open descriptor that closes itself: it cannot be copied, so exactly one owner closes it, once.

/// An owned descriptor of the system.
package struct FileDescriptor: ~Copyable {
    package let raw: Int32

    /// Takes over an open descriptor.
    package init(_ raw: Int32) {
        precondition(raw >= 0, "a descriptor is not negative")
        self.raw = raw
    }

    deinit { Syscalls.close(raw) }
}

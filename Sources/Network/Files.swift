// The few files that the gateway reads and writes: configuration, keys, logs. Whole files and appends; SQLite
// looks after its own.

import Glibc
package import Primitives

/// Reading and writing whole files.
package enum Files {
    /// The bytes of a file.
    ///
    /// - Parameter bytesMax: a longer file is refused as EFBIG.
    package static func read(_ path: String, bytesMax: Int = 4 * 1024 * 1024) throws(SystemError) -> [UInt8] {
        let file = try Syscalls.open(path, flags: O_RDONLY)
        var buffer = ByteBuffer(capacity: 16 * 1024)
        while true {
            buffer.reserve(4096)
            if try Syscalls.read(file.raw, into: &buffer) == 0 { break }
            if buffer.count > bytesMax { throw SystemError(code: EFBIG, call: "read \(path)") }
        }
        return buffer.withReadable { [UInt8](copying: $0) }
    }

    /// Replaces a file in one step, on disk when this returns: a crash leaves the old one or the new one.
    /// Only its owner can read it.
    package static func replace(_ path: String, with bytes: [UInt8]) throws(SystemError) {
        let temporary = path + ".new"
        do {
            // What a crash or somebody else has left there may be readable by others, or a link elsewhere.
            try Syscalls.remove(temporary)
            let file = try Syscalls.open(temporary, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            try Syscalls.giveToOwner(of: parent(of: path), file.raw)
            try Syscalls.writeAll(file.raw, bytes.span)
            try Syscalls.synchronise(file.raw)
        }
        try Syscalls.rename(temporary, to: path)
        try synchroniseDirectory(of: path)
    }

    /// When a file was written last; nil where there is none.
    package static func modified(_ path: String) throws(SystemError) -> WallTime? {
        try Syscalls.entry(at: path)?.modified
    }

    /// Whether every user of the machine may read a file; not, where that cannot be told.
    package static func isReadableByAll(_ path: String) -> Bool {
        (try? Syscalls.entry(at: path))??.isReadableByAll ?? false
    }

    /// Removes a file, for good when this returns; one that is not there is no error.
    package static func remove(_ path: String) throws(SystemError) {
        try Syscalls.remove(path)
        try synchroniseDirectory(of: path)
    }

    /// Gives a file another name, also on another disk, in one step; on disk when this returns. What had the
    /// name before is gone.
    package static func move(_ old: String, to new: String) throws(SystemError) {
        do throws(SystemError) {
            let file = try Syscalls.open(old, flags: O_RDONLY)
            try Syscalls.synchronise(file.raw)
            try Syscalls.rename(old, to: new)
        } catch {
            if error.code != EXDEV { throw error }
            let temporary = new + ".new"
            try copy(old, to: temporary)
            try Syscalls.rename(temporary, to: new)
            try Syscalls.remove(old)
        }
        try synchroniseDirectory(of: new)
    }

    private static func copy(_ old: String, to new: String) throws(SystemError) {
        let source = try Syscalls.open(old, flags: O_RDONLY)
        try Syscalls.remove(new)
        let target = try Syscalls.open(new, flags: O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        var buffer = ByteBuffer(capacity: 1024 * 1024)
        while true {
            buffer.reserve(1024 * 1024)
            if try Syscalls.read(source.raw, into: &buffer) == 0 { break }
            let chunk = buffer.withReadable { [UInt8](copying: $0) }
            buffer.consume(chunk.count)
            try Syscalls.writeAll(target.raw, chunk.span)
        }
        try Syscalls.synchronise(target.raw)
    }

    private static func synchroniseDirectory(of path: String) throws(SystemError) {
        let folder = try Syscalls.open(parent(of: path), flags: O_RDONLY | O_DIRECTORY)
        try Syscalls.synchronise(folder.raw)
    }

    /// Makes a directory that only its owner can enter; one that is there already is left as it is.
    package static func makePrivateDirectory(_ path: String) throws(SystemError) {
        try Syscalls.makeDirectory(path, mode: 0o700)
    }

    /// The paths that a pattern matches, sorted.
    package static func paths(matching pattern: String) -> [String] { Syscalls.paths(matching: pattern) }

    /// The value of an environment variable.
    package static func environment(_ name: String) -> String? { Syscalls.environment(name) }

    fileprivate static func parent(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }
}

/// A lock that processes of one machine have on a file, until it goes or its process ends.
package struct FileLock: ~Copyable {
    private let file: FileDescriptor

    private init(_ file: consuming FileDescriptor) { self.file = file }

    /// A lock of this process alone, or one that others may share; nil while another process has one that
    /// does not go with it. The file is made when it is not there.
    package static func take(_ path: String, isShared: Bool = false) throws(SystemError) -> FileLock? {
        // Root gives it away: it must not be a link to something else.
        let file = try Syscalls.open(path, flags: O_RDWR | O_CREAT | O_NOFOLLOW)
        try Syscalls.giveToOwner(of: Files.parent(of: path), file.raw)
        if try !Syscalls.lock(file.raw, isShared: isShared) { return nil }
        return FileLock(file)
    }
}

/// A file that lines are appended to: a log, or the standard streams.
package struct AppendFile: ~Copyable {
    private enum Kind: ~Copyable {
        case owned(FileDescriptor)
        case standard(Int32)
    }

    private let kind: Kind

    /// Opens a file for appending; made when it is not there. A pipe that nobody reads is refused: to open
    /// it would wait for a reader.
    package init(path: String) throws(SystemError) {
        kind = .owned(
            try Syscalls.open(path, flags: O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY, mode: 0o640)
        )
    }

    /// Whether a file ends in the middle of a line: a crash has torn it.
    package static func isTorn(_ path: String) -> Bool {
        Syscalls.lastByte(of: path).map { $0 != UInt8(ascii: "\n") } ?? false
    }

    private init(standard descriptor: Int32) { kind = .standard(descriptor) }

    /// The process' standard output.
    package static var standardOutput: AppendFile { AppendFile(standard: STDOUT_FILENO) }

    /// The process' standard error.
    package static var standardError: AppendFile { AppendFile(standard: STDERR_FILENO) }

    private var raw: Int32 {
        switch kind {
        case .owned(let descriptor): descriptor.raw
        case .standard(let descriptor): descriptor
        }
    }

    /// Appends all of `bytes`. Blocks: call it on a queue that may.
    package func append(_ bytes: Span<UInt8>) throws(SystemError) { try Syscalls.writeAll(raw, bytes) }

    /// Appends as much as there is room for: how many bytes, and why not all. Waits for the reader of a pipe,
    /// but not for ever.
    package func appendPart(
        _ bytes: Span<UInt8>, patienceMilliseconds: Int32
    ) -> (count: Int, problem: SystemError?) {
        Syscalls.write(raw, bytes, patienceMilliseconds: patienceMilliseconds)
    }

    /// What tells one open file from another: two streams may lead to one file. nil: it is not open.
    package var identity: String? { Syscalls.identity(raw).map { "\($0.device):\($0.number)" } }
}

// What the gateway keeps between two starts: its keys, and sessions.db. Made at first start, readable by its
// owner only; whoever has these files can make tokens.

import Network

/// The state directory, opened.
struct StateDirectory {
    let path: String

    /// A state directory that cannot be used, in one plain line.
    struct Problem: Error, Equatable {
        let reason: String
    }

    /// Opens the directory; makes it where it is missing.
    init(path: String) throws(Problem) {
        self.path = path
        try Self.make(path)
    }

    var databasePath: String { Self.databasePath(in: path) }
    /// Where other processes can speak to the gateway.
    var socketPath: String { Self.socketPath(in: path) }

    static func databasePath(in path: String) -> String { "\(path)/sessions.db" }
    static func socketPath(in path: String) -> String { "\(path)/gateway.sock" }

    /// Makes a directory of its owner alone; one that is there stays as it is.
    static func make(_ path: String) throws(Problem) {
        do throws(SystemError) {
            try Files.makePrivateDirectory(path)
        } catch {
            // Whoever has made the folder for a container or a service may have kept it.
            let remedy =
                error.isDenied ? "; user \(Privileges.userNumber) has to own the folder it is in" : ""
            throw Problem(reason: "the state directory \(path) cannot be made: \(error.reason)\(remedy)")
        }
    }

    /// The bytes of a file; nil when it is not there, which is not the same as not readable.
    static func read(_ path: String) throws(Problem) -> [UInt8]? {
        do throws(SystemError) {
            return try Files.read(path)
        } catch {
            if error.isNotFound { return nil }
            throw Problem(reason: "\(path) cannot be read: \(error.reason)")
        }
    }

    static func write(_ path: String, _ bytes: [UInt8]) throws(Problem) {
        do throws(SystemError) {
            try Files.replace(path, with: bytes)
        } catch {
            throw Problem(reason: "\(path) cannot be written: \(error.reason)")
        }
    }

    static func remove(_ path: String) throws(Problem) {
        do throws(SystemError) {
            try Files.remove(path)
        } catch {
            throw Problem(reason: "\(path) cannot be removed: \(error.reason)")
        }
    }
}

// Sockets in the file system: paths, who may connect, and the file's life from a predecessor's crash to the
// end.

import Dispatch
import Foundation
import Network
import Primitives
import Testing

@Suite struct UnixSocketTests {
    @Test("a path of 107 bytes is an address, and one of 108, an empty one or one with a NUL is none")
    func paths() throws {
        let longest = try #require(SocketAddress(unixPath: "/" + String(repeating: "a", count: 106)))
        #expect(longest.family == .unix)
        #expect(longest.port == 0)
        #expect(SocketAddress(unixPath: "/" + String(repeating: "a", count: 107)) == nil)
        #expect(SocketAddress(unixPath: "") == nil)
        #expect(SocketAddress(unixPath: "/a\0b") == nil)
    }

    @Test("a unix address names its path, and as a peer it is called unix")
    func text() throws {
        let address = try #require(SocketAddress(unixPath: "/run/api.sock"))
        #expect(address.description == "unix:/run/api.sock")
        #expect(address.host == "unix")
        #expect(address != SocketAddress(unixPath: "/run/api2.sock"))
    }

    @Test("bytes go both ways over a unix socket, which its owner and group may use")
    func echo() throws {
        try withFolder { folder in
            let path = folder + "/echo.sock"
            let shard = try Shard(on: #require(SocketAddress(unixPath: path)))
            defer { shard.stop() }
            let message = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let client = try shard.connect(sending: message)
            #expect(client.finished.wait(timeout: Shard.patience) == .success)
            #expect(shard.onQueue { client.received } == message)
            let mode = try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            #expect(mode == 0o660)
        }
    }

    @Test("the file goes with its listener, but not one that somebody else has put there since")
    func end() throws {
        try withFolder { folder in
            let path = folder + "/listener.sock"
            let address = try #require(SocketAddress(unixPath: path))
            do {
                _ = try Listener(on: address)
            }
            #expect(!FileManager.default.fileExists(atPath: path))
            do {
                let listener = try Listener(on: address)
                try FileManager.default.removeItem(atPath: path)
                #expect(FileManager.default.createFile(atPath: path, contents: nil))
                withExtendedLifetime(listener) {}
            }
            #expect(FileManager.default.fileExists(atPath: path))
        }
    }

    @Test("a file that a crash has left is replaced; a live listener and any other file are not")
    func stale() throws {
        try withFolder { folder in
            let (path, kept) = (folder + "/listener.sock", folder + "/kept.sock")
            let address = try #require(SocketAddress(unixPath: path))
            do {
                let crashed = try Listener(on: address)
                // What is left of a listener that could not remove its file: it stands under another name.
                try FileManager.default.linkItem(atPath: path, toPath: kept)
                withExtendedLifetime(crashed) {}
            }
            try FileManager.default.moveItem(atPath: kept, toPath: path)
            let live = try Listener(on: address)
            #expect { try Listener(on: address) } throws: { error in
                (error as? SystemError)?.reason == "Address already in use"
            }
            withExtendedLifetime(live) {}
            let other = folder + "/file"
            #expect(FileManager.default.createFile(atPath: other, contents: Data("kept".utf8)))
            let otherAddress = try #require(SocketAddress(unixPath: other))
            #expect { try Listener(on: otherAddress) } throws: { error in
                (error as? SystemError)?.reason == "Socket operation on non-socket"
            }
            #expect(FileManager.default.contents(atPath: other) == Data("kept".utf8))
        }
    }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/socket-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }
}

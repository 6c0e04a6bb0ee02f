// Addresses as they are configured, logged and compared; and the few files that are read and written.

import Foundation
import Network
import Primitives
import Testing

@Suite struct SocketAddressTests {
    @Test(
        "a literal address is read, and written in its canonical form",
        arguments: [
            ("192.0.2.1", "192.0.2.1:80"), ("0.0.0.0", "0.0.0.0:80"), ("localhost", "127.0.0.1:80"),
            ("::", "[::]:80"), ("::1", "[::1]:80"), ("2001:DB8:0:0:0:0:0:1", "[2001:db8::1]:80"),
            ("2001:db8::0:1", "[2001:db8::1]:80"), ("255.255.255.255", "255.255.255.255:80"),
        ])
    func literals(_ host: String, _ description: String) {
        #expect(SocketAddress(host: host, port: 80)?.description == description)
    }

    @Test(
        "what is no literal address is refused",
        arguments: [
            "", "example.com", "192.0.2", "192.0.2.256", "192.0.2.1.1", "0x7f.0.0.1", "017.0.0.1x", "127.1",
            " 127.0.0.1", "127.0.0.1 ", "127.0.0.1:80", "[::1]", ":::", "1::2::3", "fe80::1%lo", "::g",
            "Localhost.",
            "127.0.0.1\0x", "::1\0",
        ])
    func names(_ host: String) {
        #expect(SocketAddress(host: host, port: 80) == nil)
    }

    @Test("an IPv4 address in IPv6's clothes is the IPv4 address, in limits as in logs")
    func mapped() throws {
        let mapped = try #require(SocketAddress(host: "::ffff:192.0.2.1", port: 80))
        let plain = try #require(SocketAddress(host: "192.0.2.1", port: 80))
        #expect(mapped == plain)
        #expect(mapped.hashValue == plain.hashValue)
        #expect(mapped.family == .v4)
        #expect(mapped.host == "192.0.2.1")
    }

    @Test(
        "an address that only resembles a mapped one stays IPv6",
        arguments: ["::192.0.2.1", "::fffe:192.0.2.1", "64:ff9b::192.0.2.1"])
    func nearlyMapped(_ host: String) throws {
        let address = try #require(SocketAddress(host: host, port: 80))
        #expect(address.family == .v6)
        #expect(address.bytes.count == 16)
    }

    @Test("the port makes another address")
    func port() {
        #expect(SocketAddress(host: "::1", port: 80) != SocketAddress(host: "::1", port: 81))
    }
}

@Suite struct FilesTests {
    @Test("a replaced file has the new bytes, and only its owner can read it")
    func replace() throws {
        try withFolder { folder in
            let path = folder + "/secret"
            try Files.replace(path, with: [1, 2, 3])
            #expect(try Files.read(path) == [1, 2, 3])
            #expect(try mode(path) == 0o600)
            try Files.replace(path, with: [4])
            #expect(try Files.read(path) == [4])
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["secret"])
        }
    }

    @Test("a file that others could read is private once it is replaced")
    func privacy() throws {
        try withFolder { folder in
            let path = folder + "/secret"
            for name in [path, path + ".new"] {
                #expect(FileManager.default.createFile(atPath: name, contents: Data("old".utf8)))
                try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: name)
            }
            try Files.replace(path, with: [1])
            #expect(try mode(path) == 0o600)
        }
    }

    @Test("a link that waits at the temporary name is not followed")
    func link() throws {
        try withFolder { folder in
            let (path, other) = (folder + "/secret", folder + "/other")
            #expect(FileManager.default.createFile(atPath: other, contents: Data("kept".utf8)))
            try FileManager.default.createSymbolicLink(atPath: path + ".new", withDestinationPath: other)
            try Files.replace(path, with: [1])
            #expect(try Files.read(other) == Array("kept".utf8))
            #expect(try Files.read(path) == [1])
            #expect(try mode(path) == 0o600)
        }
    }

    @Test(
        "a file longer than allowed is refused, one of exactly that length is read",
        arguments: [0, 1, 5000, 40_000])
    func limit(_ count: Int) throws {
        try withFolder { folder in
            let bytes = [UInt8](repeating: 7, count: count)
            try Files.replace(folder + "/f", with: bytes)
            #expect(try Files.read(folder + "/f", bytesMax: count) == bytes)
            if count == 0 { return }
            #expect(throws: SystemError.self) { try Files.read(folder + "/f", bytesMax: count - 1) }
        }
    }

    @Test("a file that is not there is an error that says so")
    func missing() throws {
        try withFolder { folder in
            #expect { try Files.read(folder + "/none") } throws: { error in
                (error as? SystemError)?.reason == "No such file or directory"
            }
            #expect(throws: SystemError.self) { try Files.replace(folder + "/none/f", with: []) }
        }
    }

    @Test("lines are appended, also by a second opening")
    func append() throws {
        try withFolder { folder in
            for line in ["a\n", "b\n"] {
                let file = try AppendFile(path: folder + "/log")
                try file.append(Array(line.utf8).span)
            }
            #expect(try Files.read(folder + "/log") == Array("a\nb\n".utf8))
            #expect(Files.paths(matching: folder + "/*") == [folder + "/log"])
            #expect(Files.paths(matching: folder + "/none*") == [])
        }
    }

    @Test("a private directory can be entered by its owner only, and making it again does no harm")
    func directory() throws {
        try withFolder { folder in
            for _ in 0..<2 { try Files.makePrivateDirectory(folder + "/d") }
            #expect(try mode(folder + "/d") == 0o700)
        }
    }

    // MARK: - Parts

    private func mode(_ path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "files-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.path)
    }
}

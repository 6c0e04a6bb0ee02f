// What root makes for the gateway's user, and gives to it: in a directory where that user may put links of
// his own, nothing else may be made his.

import Foundation
import Glibc
import Testing

@testable import Network

@Suite struct LinkTests {
    @Test("a lock is taken on a file, and never on what a link leads to")
    func lock() throws {
        try withFolder { folder in
            let (target, link) = (folder + "/shadow", folder + "/lock")
            #expect(FileManager.default.createFile(atPath: target, contents: nil))
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
            #expect(throws: SystemError.self) { _ = try FileLock.take(link) }
            let isTaken = try FileLock.take(folder + "/lock2") != nil
            #expect(isTaken)
        }
    }

    @Test("the rights of a file are set, and never those of what a link leads to")
    func mode() throws {
        try withFolder { folder in
            let (target, link) = (folder + "/shadow", folder + "/http.sock")
            #expect(FileManager.default.createFile(atPath: target, contents: nil))
            try Syscalls.setMode(target, 0o600)
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
            #expect(throws: SystemError.self) { try Syscalls.setMode(link, 0o666) }
            let mode = try FileManager.default.attributesOfItem(atPath: target)[.posixPermissions] as? Int
            #expect(mode == 0o600)
        }
    }

    @Test("a file is given away, and never what a link leads to", .enabled(if: geteuid() == 0))
    func gift() throws {
        try withFolder { folder in
            let (target, link) = (folder + "/shadow", folder + "/http.sock")
            #expect(FileManager.default.createFile(atPath: target, contents: nil))
            try FileManager.default.createSymbolicLink(atPath: link, withDestinationPath: target)
            let nobody = try #require(Privileges.User(name: "nobody", group: nil))
            func owner() throws -> Int? {
                try FileManager.default.attributesOfItem(atPath: target)[.ownerAccountID] as? Int
            }
            try Privileges.give(link, to: nobody)
            #expect(try owner() == 0)
            try Privileges.give(target, to: nobody)
            #expect(try owner() != 0)
        }
    }
    private func withFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/socket-\(UInt64.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }
}

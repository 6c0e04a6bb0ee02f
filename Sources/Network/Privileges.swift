// What the process may do, and gives up: the rights of root once they have served their purpose, and the
// image of its memory that a crash would leave.

import Glibc

/// Rights of the process.
package enum Privileges {
    /// A user that the process is to be.
    package struct User: Sendable {
        fileprivate let name: String
        fileprivate let user: uid_t
        fileprivate let group: gid_t

        /// nil: nobody is called so.
        ///
        /// - Parameter group: nil is the user's own.
        package init?(name: String, group: String?) {
            guard let found = Syscalls.user(named: name) else { return nil }
            var number = found.group
            if let group {
                guard let other = Syscalls.group(named: group) else { return nil }
                number = other
            }
            self.name = name
            user = found.user
            self.group = number
        }
    }

    /// Who this is, also where the number has no name, as in most containers.
    package static var userNumber: UInt32 { geteuid() }

    /// Whether this is root.
    package static var areRoots: Bool { geteuid() == 0 }

    /// Has the whole process be a user from now on, for good.
    package static func become(_ user: User) throws(SystemError) {
        try Syscalls.become(user.user, user.group, named: user.name)
    }

    /// Gives a file, or a directory without what is in it, to a user.
    package static func give(_ path: String, to user: User) throws(SystemError) {
        try Syscalls.give(path, to: user.user, user.group)
    }

    /// Has the kernel write no image of this process' memory, with all its keys in it, when it crashes.
    package static func refuseCoreDumps() throws(SystemError) { try Syscalls.refuseCoreDumps() }
}

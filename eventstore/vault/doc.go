// Package vault keeps what is personal in events apart from who may read it: it seals personal strings with a key of the person's own, and
// destroys that key when the person is to be forgotten.
//
// # Subjects
//
// A [Subject] is whoever personal data is about: a customer, or a stream that names none, such as a guest's order. It has one key with
// which new events are sealed, made when it is first needed. When a stream turns out to be a customer's, the stream's keys become the
// customer's ([Vault.AdoptTx]), in the transaction that appends the event which says so; so a customer may have several.
//
// # At rest
//
// [domain.Sealed] says what an event looks like in the log: its personal strings are gone, and encrypted together, with AES-256-GCM, in one
// member at its beginning; each subject's for itself. A ciphertext is bound to workspace, stream, version and type, so it cannot be moved to
// another event. The hash of the event covers all this as it stands, which is why a destroyed key leaves every chain as it was.
//
// Keys are rows of the table personal_keys: 32 random bytes, encrypted with the master key where there is one (wrap.go). Without a master
// key they are stored as they are. Then whoever has a dump of the database can read what is personal in it, but destroying keys erases all the same.
//
// # Memory
//
// Keys are kept in memory for [Config.TTL] at most after they were read, 30 seconds unless somebody says otherwise, and so is everything that
// was opened with them: who keeps opened events asks [Vault.Destroyed] before each use. So a process that did not destroy a key itself goes on
// reading with it, and sealing with it, for that long at most; what it seals then is erased as soon as it is in the log. The process that
// destroyed it stops with the commit. Within a transaction nothing is taken from memory: it sees what it did itself.
package vault

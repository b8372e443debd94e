// Starts a program behind the walls that Linux gives to anyone: limits on memory, processor time and files, and, where
// the kernel allows it, no network, no other processes in sight, and nothing to write to but one folder.
#ifndef CRUMB_SANDBOX_H
#define CRUMB_SANDBOX_H

#include <stdint.h>
#include <sys/types.h>

struct crumb_sandbox {
    const char *_Nonnull program;                // a path, not looked up
    char *_Nullable const *_Nonnull arguments;   // ends in NULL
    char *_Nullable const *_Nonnull environment; // ends in NULL
    const char *_Nonnull folder;                 // where it starts, and all that it may write
    int output;                                  // becomes standard output and standard error; standard input is empty
    int verdict;                                 // becomes file descriptor 3
    uint64_t memory_bytes;                       // of address space
    uint64_t cpu_seconds;
    uint64_t file_bytes; // of one file
};

// What `crumb_sandbox_start` could put up beside the limits.
enum {
    CRUMB_SANDBOX_NO_NETWORK = 1, // namespaces of its own for network, processes and users
    CRUMB_SANDBOX_READ_ONLY = 2,  // Landlock: files outside the folder cannot be changed
};

// Starts the program as the leader of a session of its own; it ends when the calling thread does. A program that cannot
// be started ends with code 127.
//
// Returns the process, or -1 with errno set. `walls` gets what was put up.
pid_t crumb_sandbox_start(const struct crumb_sandbox *_Nonnull sandbox, int *_Nonnull walls);

// Makes a pipe whose reading end does not wait, both ends closed when another program takes the process over. Returns
// 0, or -1 with errno set.
int crumb_sandbox_pipe(int *_Nonnull reading, int *_Nonnull writing);

#endif

#define _GNU_SOURCE
#include "crumb_sandbox.h"

#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// Kinds of changes that newer kernels know and older headers do not.
#define LANDLOCK_MOVES (1ULL << 13)     // from version 2 on
#define LANDLOCK_TRUNCATES (1ULL << 14) // from version 3 on

// All kinds of changes to files that version 1 knows.
static const uint64_t changes = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR
    | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR
    | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO
    | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;

static long landlock_version(void) {
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
}

// From here on only what POSIX allows between fork and exec in a program of many threads.

static void allow_changes_in(const char *folder) {
    long version = landlock_version();
    if (version < 1) return;
    struct landlock_ruleset_attr rules = {.handled_access_fs = changes};
    if (version >= 2) rules.handled_access_fs |= LANDLOCK_MOVES;
    if (version >= 3) rules.handled_access_fs |= LANDLOCK_TRUNCATES;
    int set = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0);
    if (set < 0) return;
    struct landlock_path_beneath_attr beneath = {
        .allowed_access = rules.handled_access_fs, .parent_fd = open(folder, O_PATH | O_CLOEXEC)};
    if (syscall(SYS_landlock_add_rule, set, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0) return;
    syscall(SYS_landlock_restrict_self, set, 0);
}

static void limit(int what, uint64_t most) {
    struct rlimit value = {.rlim_cur = most, .rlim_max = most};
    setrlimit(what, &value);
}

static _Noreturn void become(const struct crumb_sandbox *sandbox) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    setsid();
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int empty = open("/dev/null", O_RDONLY);
    // Above the numbers they are to become, so that none is overwritten before it was copied.
    int output = fcntl(sandbox->output, F_DUPFD, 10), verdict = fcntl(sandbox->verdict, F_DUPFD, 10);
    if (chdir(sandbox->folder) != 0 || dup2(empty, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0
        || dup2(verdict, 3) < 0)
        _exit(127);
    // Models, sockets and cards that the parent has open. Where the call is missing they are marked close-on-exec
    // anyway.
    syscall(SYS_close_range, 4U, ~0U, 0U);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    allow_changes_in(sandbox->folder);
    limit(RLIMIT_AS, sandbox->memory_bytes);
    limit(RLIMIT_CPU, sandbox->cpu_seconds);
    limit(RLIMIT_FSIZE, sandbox->file_bytes);
    limit(RLIMIT_NOFILE, 64);
    limit(RLIMIT_CORE, 0);
    // No processes or threads beside it; root is not bound by this, but has a namespace where it may have one.
    limit(RLIMIT_NPROC, 0);
    execve(sandbox->program, sandbox->arguments, sandbox->environment);
    _exit(127);
}

pid_t crumb_sandbox_start(const struct crumb_sandbox *sandbox, int *walls) {
    *walls = landlock_version() >= 1 ? CRUMB_SANDBOX_READ_ONLY : 0;
    // As fork, with namespaces. Being the first of its process namespace, it takes all its children with it when it
    // ends; the user namespace is what makes the others free to all, and leaves root without its powers.
    unsigned long namespaces = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC;
    long process = syscall(SYS_clone, namespaces | SIGCHLD, 0, 0, 0, 0);
    if (process == 0) become(sandbox);
    if (process > 0) {
        *walls |= CRUMB_SANDBOX_NO_NETWORK;
        return (pid_t)process;
    }
    process = fork();
    if (process == 0) become(sandbox);
    return (pid_t)process;
}

int crumb_sandbox_pipe(int *reading, int *writing) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return -1;
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    *reading = ends[0];
    *writing = ends[1];
    return 0;
}

using QueueMaaS.Commands;
using QueueMaaS.Inference.Isolation;

// The command line's library ends a process two seconds after SIGTERM by itself; a service ends when what runs has ended or was handed back, which has a limit of its own (Jobs:ShutdownGrace).
return args is [ModelProcessProgram.Command] ? ModelProcessProgram.Run() : await CommandLine.Create().Parse(args).InvokeAsync(new() { ProcessTerminationTimeout = TimeSpan.FromMinutes(15) });

using QueueMaaS.Commands;
using QueueMaaS.Inference.Isolation;

return args is [ModelProcessProgram.Command] ? ModelProcessProgram.Run() : await CommandLine.Create().Parse(args).InvokeAsync();

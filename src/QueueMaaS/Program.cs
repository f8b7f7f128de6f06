using QueueMaaS.Commands;

return await CommandLine.Create().Parse(args).InvokeAsync();

namespace QueueMaaS.Inference.Isolation;

/// <summary>How a process for one model is started: with a program whose entry point is <see cref="ModelProcessProgram.Run"/>.</summary>
/// <param name="FileName">The program.</param>
/// <param name="Arguments">What it is given.</param>
public sealed record ModelProcessStart(string FileName, IReadOnlyList<string> Arguments);

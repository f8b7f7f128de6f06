namespace QueueMaaS.Demo;

/// <summary>What the demo was asked to do.</summary>
internal sealed record DemoSettings(string? Data, int Epochs, int? Limit, bool Servers, bool Stay);

/// <summary>A step of the demo did not give what it should; the program exits non-zero.</summary>
internal sealed class DemoFailedException(string message) : Exception(message);

namespace QueueMaaS.Data.Images;

/// <summary>A decoded image.</summary>
/// <param name="Width">Pixels, as it is to be seen.</param>
/// <param name="Height">Pixels, as it is to be seen.</param>
/// <param name="Channels">3 (RGB) or 1 (grey).</param>
/// <param name="Pixels">Channels × height × width, 0 to 255.</param>
public sealed record PlanarImage(int Width, int Height, int Channels, byte[] Pixels);

// Answers with Maven's ComparableVersion; pairs of hexadecimal texts on standard input.
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.apache.maven.artifact.versioning.ComparableVersion;

class Maven {
    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null; ) {
            String[] pair = line.split("\t", -1);
            int order = version(pair[0]).compareTo(version(pair[1]));
            System.out.println(order < 0 ? "<" : order > 0 ? ">" : "=");
        }
    }

    static ComparableVersion version(String text) {
        return new ComparableVersion(new String(HexFormat.of().parseHex(text), StandardCharsets.UTF_8));
    }
}

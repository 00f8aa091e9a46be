import com.fasterxml.jackson.databind.ObjectMapper;
import com.helger.diver.api.coord.DVRCoordinate;
import com.helger.io.resource.FileSystemResource;
import com.helger.phive.api.execute.ValidationExecutionManager;
import com.helger.phive.api.executorset.ValidationExecutorSetRegistry;
import com.helger.phive.api.validity.IValidityDeterminator;
import com.helger.phive.en16931.EN16931Validation;
import com.helger.phive.peppol.PeppolValidation;
import com.helger.phive.peppol.PeppolValidation2026_05;
import com.helger.phive.xml.source.IValidationSourceXML;
import com.helger.phive.xml.source.ValidationSourceXML;
import java.io.File;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.verapdf.gf.foundry.VeraGreenfieldFoundryProvider;
import org.verapdf.pdfa.Foundries;
import org.verapdf.pdfa.flavours.PDFAFlavour;

/**
 * Checks each file of a folder by the official rules for what it is, and prints what they say, one line of JSON a file:
 * UBL by Peppol BIS Billing 3, which has those of EN 16931 in it; CII by EN 16931; PDF by veraPDF, as PDF/A-3b.
 */
public class Rules {
  private static final ValidationExecutorSetRegistry<IValidationSourceXML> REGISTRY = new ValidationExecutorSetRegistry<>();

  public static void main(String[] args) throws Exception {
    System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "error");
    Locale.setDefault(Locale.ROOT);
    PeppolValidation.initStandard(REGISTRY);
    EN16931Validation.initEN16931(REGISTRY);
    VeraGreenfieldFoundryProvider.initialise();
    var json = new ObjectMapper();
    var files = new File(args[0]).listFiles();
    Arrays.sort(files);
    // Parallel: each set of rules takes seconds to be read.
    Arrays.stream(files).parallel().map(file -> {
      try {
        return json.writeValueAsString(file.getName().endsWith(".pdf") ? pdf(file) : xml(file));
      } catch (Exception e) {
        throw new RuntimeException(file.getName(), e);
      }
    }).forEachOrdered(System.out::println);
  }

  private static DVRCoordinate rulesFor(String root) {
    switch (root) {
      case "Invoice": return PeppolValidation2026_05.VID_OPENPEPPOL_INVOICE_UBL_V3;
      case "CreditNote": return PeppolValidation2026_05.VID_OPENPEPPOL_CREDIT_NOTE_UBL_V3;
      case "CrossIndustryInvoice": return EN16931Validation.VID_CII_1316;
      default: throw new IllegalArgumentException("no rules for " + root);
    }
  }

  private static Map<String, Object> xml(File file) {
    var source = ValidationSourceXML.create(new FileSystemResource(file));
    var node = source.getNode();
    if (node == null) {
      return report(file, List.of("XML: not valid"), List.of("it is not well-formed XML"), List.of());
    }
    var root = node.getOwnerDocument() == null ? ((org.w3c.dom.Document) node).getDocumentElement() : node;
    var set = REGISTRY.getOfID(rulesFor(root.getLocalName()));
    var words = new ArrayList<String>();
    var errors = new ArrayList<String>();
    var warnings = new ArrayList<String>();
    for (var result : ValidationExecutionManager.executeValidation(IValidityDeterminator.createDefault(), set, source, Locale.ENGLISH)) {
      var validity = result.getValidity();
      words.add(set.getDisplayName() + ": " + result.getValidationArtefact().getRuleResourcePath().replaceAll(".*/", "") + ": " + validity);
      if (!validity.isValid() && result.getErrorList().isEmpty()) { // skipped, after what failed before it
        errors.add(result.getValidationArtefact().getRuleResourcePath() + ": " + validity);
      }
      for (var found : result.getErrorList()) {
        var text = (found.hasErrorID() ? found.getErrorID() + ": " : "") + found.getErrorText(Locale.ENGLISH)
            + " at " + found.getErrorFieldName();
        (found.isError() ? errors : warnings).add(text);
      }
    }
    return report(file, words, errors, warnings);
  }

  private static Map<String, Object> pdf(File file) throws Exception {
    var errors = new ArrayList<String>();
    try (var parser = Foundries.defaultInstance().createParser(file, PDFAFlavour.PDFA_3_B);
         var validator = Foundries.defaultInstance().createValidator(PDFAFlavour.PDFA_3_B, false)) {
      var result = validator.validate(parser);
      for (var failed : result.getTestAssertions()) {
        errors.add(failed.getRuleId().getClause() + "-" + failed.getRuleId().getTestNumber() + ": " + failed.getMessage()
            + " at " + failed.getLocation().getContext());
      }
      if (!result.isCompliant() && errors.isEmpty()) {
        errors.add("not compliant");
      }
      return report(file, List.of("veraPDF: PDF/A-3B: " + (result.isCompliant() ? "compliant" : "not compliant") + ", "
          + result.getTotalAssertions() + " checks"), errors, List.of());
    }
  }

  private static Map<String, Object> report(File file, List<String> words, List<String> errors, List<String> warnings) {
    var report = new LinkedHashMap<String, Object>();
    report.put("file", file.getName());
    report.put("words", words);
    report.put("errors", errors);
    report.put("warnings", warnings);
    return report;
  }
}
